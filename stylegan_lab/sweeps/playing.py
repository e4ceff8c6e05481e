"""Playing trials: each in a fresh process with nothing of the sweep's in it, here or through one of Hydra's launchers."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from stylegan_lab.sweeps.trial import Trial

GROUP = "WANDB_RUN_GROUP"  # under which W&B shows the trials of a sweep together


class Player(Protocol):
    """Begins trials, and knows which are over."""

    def begin(self, trial: Trial, environment: Mapping[str, str], claim: int) -> None: ...

    def code(self, trial: Trial) -> int | None:
        """What the trial's process left with; None while it plays."""

    def stop(self, trial: Trial) -> None:
        """Ask it to save and leave."""

    def kill(self, trial: Trial) -> None:
        """Make an end of it and of all it started."""


class Processes:
    """On this machine. A trial leads a session of its own: Ctrl-C is the sweep's to hear, and the whole tree can be ended."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = list(flags)
        self._playing: dict[int, subprocess.Popen[bytes]] = {}

    def begin(self, trial: Trial, environment: Mapping[str, str], claim: int) -> None:
        with trial.log.open("ab") as log:
            self._playing[trial.number] = subprocess.Popen(
                command(trial.overrides, trial.folder, self._flags),
                env={GROUP: trial.sweep.name, **os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(claim,) if os.name == "posix" else (),  # held for as long as anyone plays
            )

    def code(self, trial: Trial) -> int | None:
        return self._playing[trial.number].poll()

    def stop(self, trial: Trial) -> None:
        self._playing[trial.number].terminate()

    def kill(self, trial: Trial) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._playing[trial.number].pid, signal.SIGKILL)


class Launched:
    """Through a launcher of Hydra's, such as submitit's: each trial is a job of its own, and what is queued stays queued."""

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher
        self._codes: dict[int, int] = {}

    def begin(self, trial: Trial, environment: Mapping[str, str], claim: int) -> None:
        threading.Thread(target=self._launch, args=(trial,), daemon=True).start()

    def code(self, trial: Trial) -> int | None:
        return self._codes.get(trial.number)

    def stop(self, trial: Trial) -> None:
        """A launcher offers no way to."""

    def kill(self, trial: Trial) -> None:
        self._codes.setdefault(trial.number, 143)

    def _launch(self, trial: Trial) -> None:
        try:
            (job,) = self._launcher.launch([trial.overrides], initial_job_idx=trial.number)
            self._codes[trial.number] = int(job.return_value or 0)
        except BaseException as error:  # whatever the launcher, the queue or the job's machine says
            with trial.log.open("a", encoding="utf-8") as log:
                log.write(f"{str(error).strip() or type(error).__name__}\n")
            self._codes[trial.number] = 1


def command(overrides: Sequence[str], folder: Path, flags: Sequence[str] = ()) -> list[str]:
    return [sys.executable, "-m", "stylegan_lab", "train", *flags, *overrides, f"output_dir={folder}"]


def play_apart(overrides: Sequence[str], folder: Path, flags: Sequence[str], log: Path) -> int:
    """One trial from within a launcher's job; whoever ends the job has it save and leave first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command(overrides, folder, flags),
            env={GROUP: folder.parent.name, **os.environ},
            stdout=output,
            stderr=output,
        )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def reason(log: Path) -> str:
    """The sentence a trial ended with."""
    with suppress(OSError):
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        told = [line for line in lines if line.startswith("stylegan-lab: ")]
        return (told or [line for line in lines if line] or [""])[-1].removeprefix("stylegan-lab: ")
    return ""
