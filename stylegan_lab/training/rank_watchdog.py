"""Starts the processes (ranks) of a training for strategy=ddp_spawn, and ends all ranks when one dies."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import lightning as L

from stylegan_lab.cores import THREADS_VARIABLE, threads_per_process
from stylegan_lab.errors import UserError
from stylegan_lab.runs.run import Run
from stylegan_lab.signals import forward_signals

POLL_SECONDS = 1.0  # between checks of the other processes
SPAWNED_POLL_SECONDS = 0.1
# How long a process may take to notice by itself. On GPUs it would wait for the lost one much longer.
GRACE_SECONDS = 10.0
PARENT_PROCESS = os.getppid()
LOST_RANK_MESSAGE = re.compile(r"Connection (closed|reset) by peer|Broken pipe|gloo/transport|NCCL|ProcessGroup|Socket")


@contextmanager
def watch_ranks(trainer: L.Trainer, run: Run) -> Iterator[None]:
    """Within the block, a thread in each process ends this process if another process of the training is lost."""
    done = threading.Event()
    if trainer.world_size > 1:
        threading.Thread(target=_watch_processes, args=(trainer, run, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def describe_lost_rank(error: Exception, trainer: L.Trainer) -> str | None:
    """Return a message if `error` means that another process of the training is gone, or else None."""
    if trainer.world_size == 1 or not LOST_RANK_MESSAGE.search(str(error)):
        return None
    for child in _children(trainer):
        with suppress(subprocess.TimeoutExpired):
            child.wait(2 * POLL_SECONDS)
    return _lost_process(trainer) or "another process of this training is gone; its own message says why"


def _watch_processes(trainer: L.Trainer, run: Run, done: threading.Event) -> None:
    while not done.wait(POLL_SECONDS):
        if lost := _lost_process(trainer):
            if not done.wait(GRACE_SECONDS):
                run.log(f"stopped: {lost}")
                os._exit(1)
            return


def _lost_process(trainer: L.Trainer) -> str | None:
    usual = "; the usual cause is too little memory"
    for rank, child in enumerate(_children(trainer), start=1):
        if code := child.poll():
            if code > 0:
                return f"rank {rank} of this training exited with code {code}; its message is above"
            name = signal.Signals(-code).name
            return f"rank {rank} of this training was ended by {name}{usual if name == 'SIGKILL' else ''}"
    is_orphan = not trainer.is_global_zero and os.getppid() != PARENT_PROCESS
    return f"the process that started this one is gone{usual}" if is_orphan else None


def _children(trainer: L.Trainer) -> Sequence["subprocess.Popen[Any]"]:
    """Return the ranks that this process started. Empty if a launcher such as srun starts and watches the ranks."""
    started = getattr(getattr(trainer.strategy, "launcher", None), "procs", [])
    return [each for each in started if isinstance(each, subprocess.Popen)]


def spawn_ranks(arguments: Sequence[str], ranks: int) -> None:
    """Run `stylegan-lab train` with these arguments once for each rank. If a rank fails, exit with a failure too.

    Unlike Lightning's ranks, these ranks do not run the calling program again.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(ranks), "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"LOCAL_WORLD_SIZE": str(ranks), THREADS_VARIABLE: threads_per_process(ranks)}
    command = [sys.executable, "-m", "stylegan_lab", "train", *arguments]
    with forward_signals() as forwarder:
        started = []
        for rank in range(ranks):
            started.append(subprocess.Popen(command, env=os.environ | shared | {"LOCAL_RANK": str(rank)}))
            forwarder.add(started[-1].pid)
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the ranks too
        try:
            _wait_for(started)
        finally:
            signal.signal(signal.SIGINT, interrupt)
    codes = [process.returncode for process in started]
    for rank, code in enumerate(codes):
        if code < 0:
            name = signal.Signals(-code).name
            raise UserError(
                "training.rank_lost", f"rank {rank} of this training was ended by {name}; repeat the command to resume"
            )
    if any(codes):
        raise SystemExit(codes[0] or max(codes))


def _wait_for(started: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait for all ranks. If one rank fails, the other ranks get a grace period and are then killed."""
    while any(process.poll() is None for process in started):
        time.sleep(SPAWNED_POLL_SECONDS)
        if any(process.poll() for process in started):
            for process in started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE_SECONDS)
                process.kill()
