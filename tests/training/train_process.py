"""The train command in a process of its own, which tests can kill and start again."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# Processes are forked from one that has imported what takes seconds, and runs no threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["stylegan_lab.training.fit", "stylegan_lab.cli.train", "tests.training.train_process"]
)

Setup = Callable[[], Any]  # called in the process before the command; must be picklable


class TrainProcess:
    """`stylegan-lab train ...`, in `folder`, as the leader of a process group."""

    def __init__(self, overrides: Sequence[str], folder: Path, prepare: Setup | None = None) -> None:
        self.output = folder / "output.txt"
        arguments = (["train", *overrides], folder, dict(os.environ), prepare)
        self._process = PROCESSES.Process(target=_run_command, args=arguments)
        self._process.start()

    def kill(self, number: int, group: bool = False) -> None:
        assert self._process.pid is not None
        with suppress(ProcessLookupError):  # it was faster
            (os.killpg if group else os.kill)(self._process.pid, number)

    def wait(self, seconds: float = 120.0) -> int:
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"still running after {seconds} s: {self.printed()}")
        self._assert_no_process_is_left()
        return self._process.exitcode

    def _assert_no_process_is_left(self) -> None:
        """Loader workers, and the server they are forked from, end with the run, however it ended."""
        assert self._process.pid is not None
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
        os.killpg(self._process.pid, signal.SIGKILL)
        raise AssertionError("processes of the run are still there after it ended")

    def printed(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def wait_until(self, is_so: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end and self._process.exitcode is None, self.printed()
            time.sleep(0.01)


def _run_command(arguments: list[str], folder: Path, environment: dict[str, str], prepare: Setup | None) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with (folder / "output.txt").open("a") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    from stylegan_lab.callbacks import preemption
    from stylegan_lab.cli.main import run

    torch.set_num_threads(1)
    preemption.PROCESS_START = time.monotonic()
    if prepare is not None:
        prepare()
    sys.exit(run(arguments))
