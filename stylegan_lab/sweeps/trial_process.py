"""The process of a trial: a lock that prevents two workers from running the same trial, and runners that start the process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stylegan_lab.sweeps.trial import Trial

WANDB_GROUP = "WANDB_RUN_GROUP"  # W&B groups the trials of a sweep by this environment variable


class LocalTrialRunner:
    """Runs trials on this machine. Each trial has its own process session, so that Ctrl-C reaches only the sweep, and all
    processes of a trial can be killed together."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = list(flags)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, trial: Trial, environment: Mapping[str, str], claim: int) -> None:
        with trial.log_path.open("ab") as log:
            self._processes[trial.number] = subprocess.Popen(
                train_command(trial.overrides, trial.folder, self._flags),
                env={WANDB_GROUP: trial.sweep.name, **os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(claim,) if os.name == "posix" else (),  # the trial stays locked if only the sweep is killed
            )

    def exit_code(self, trial: Trial) -> int | None:
        """Return the exit code of the process, or None while the process runs."""
        return self._processes[trial.number].poll()

    def stop(self, trial: Trial) -> None:
        """Ask the process to save a checkpoint and exit."""
        self._processes[trial.number].terminate()

    def kill(self, trial: Trial) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._processes[trial.number].pid, signal.SIGKILL)


class LauncherTrialRunner:
    """Runs each trial as one job of a Hydra launcher, such as the submitit launcher. The sweep cannot stop jobs that are queued."""

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher
        self._exit_codes: dict[int, int] = {}

    def start(self, trial: Trial, environment: Mapping[str, str], claim: int) -> None:
        threading.Thread(target=self._launch, args=(trial,), daemon=True).start()

    def exit_code(self, trial: Trial) -> int | None:
        return self._exit_codes.get(trial.number)

    def stop(self, trial: Trial) -> None:
        """Do nothing: Hydra's launchers cannot stop a single job."""

    def kill(self, trial: Trial) -> None:
        self._exit_codes.setdefault(trial.number, 143)

    def _launch(self, trial: Trial) -> None:
        try:
            (job,) = self._launcher.launch([trial.overrides], initial_job_idx=trial.number)
            self._exit_codes[trial.number] = int(job.return_value or 0)
        except BaseException as error:  # launchers raise exceptions of any kind
            with trial.log_path.open("a", encoding="utf-8") as log:
                log.write(f"{str(error).strip() or type(error).__name__}\n")
            self._exit_codes[trial.number] = 1


TrialRunner = LocalTrialRunner | LauncherTrialRunner


def train_command(overrides: Sequence[str], folder: Path, flags: Sequence[str] = ()) -> list[str]:
    return [sys.executable, "-m", "stylegan_lab", "train", *flags, *overrides, f"output_dir={folder}"]


def run_in_subprocess(overrides: Sequence[str], folder: Path, flags: Sequence[str], log: Path) -> int:
    """Run a trial from within the job of a launcher. If the job is terminated, the trial saves a checkpoint first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            train_command(overrides, folder, flags),
            env={WANDB_GROUP: folder.parent.name, **os.environ},
            stdout=output,
            stderr=output,
        )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def failure_reason(log: Path) -> str:
    """Return the last error message in the output of a trial, or else the last line."""
    with suppress(OSError):
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        errors = [line for line in lines if line.startswith("stylegan-lab: ")]
        return (errors or [line for line in lines if line] or [""])[-1].removeprefix("stylegan-lab: ")
    return ""
