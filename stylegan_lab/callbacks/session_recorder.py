"""Records each training session in run.json: when and how far it trained, on what hardware, and why it ended."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import lightning as L
import torch

from stylegan_lab.callbacks.checkpointing import Checkpointing
from stylegan_lab.callbacks.ema import find_callback
from stylegan_lab.callbacks.nan_guard import DivergedError
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.reader import recorded_state
from stylegan_lab.runs.run import Run
from stylegan_lab.runs.state import NEW_RUN, RunState, Status
from stylegan_lab.signals import TIME_LIMIT_EXIT_CODE

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

WRITE_EVERY_SECONDS = 30.0  # the most that a killed run loses


class SessionRecorder(L.Callback):
    """Writes run.json at the start of a session, every 30 seconds, and at the end. Only the first rank writes it."""

    def __init__(self) -> None:
        self._state: RunState | None = None
        self._training_since: float | None = None

    def start(self, trainer: L.Trainer, iteration: int, budget: int) -> None:
        self._state = (recorded_state(Run.from_trainer(trainer).folder) or NEW_RUN).start_session(
            iteration, budget, trainer.world_size
        )
        self._write(trainer)

    def end_training(self, trainer: L.Trainer, is_evaluated_next: bool = False) -> None:
        """Record the end of a training without an exception. If an evaluation of the run follows, the run is not marked as finished
        yet."""
        if self._state is not None and self._state.iteration < self._state.budget:
            self.end(trainer, "interrupted", "stopped by a callback")
        else:
            self.end(trainer, "running" if is_evaluated_next else "finished", "reached its budget")

    def end(self, trainer: L.Trainer, status: Status, reason: str, diverged: bool = False) -> None:
        if self._state is not None:
            self._state = self._state.end_session(status, reason, diverged)
            self._write(trainer)

    def on_train_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        if on_gpu := pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)
        self._training_since = self._written_at = time.monotonic()
        if self._state is None:
            self.start(trainer, pl_module.iteration, pl_module.max_iterations or 0)
        assert self._state is not None
        self._state = self._state.update_session(
            ranks=trainer.world_size,
            gpus=trainer.world_size if on_gpu else 0,
            hardware=_hardware(pl_module.device, trainer.world_size),
        )

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        if time.monotonic() - self._written_at > WRITE_EVERY_SECONDS:
            self._update(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        self._update(trainer, pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: BaseModel, exception: BaseException) -> None:
        if self._training_since is not None:
            self._update(trainer, pl_module)

    def _update(self, trainer: L.Trainer, module: BaseModel) -> None:
        assert self._state is not None and self._training_since is not None
        self._written_at = time.monotonic()
        self._state = self._state.update_session(
            last_iteration=module.iteration,
            seconds=round(self._written_at - self._training_since, 2),
            peak_bytes=_peak_bytes(module.device),
        )
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        assert self._state is not None
        if not trainer.is_global_zero:
            return
        if checkpointing := find_callback(trainer, Checkpointing):
            self._state = self._state.with_best(checkpointing.monitor, checkpointing.best)
        with suppress(OSError):  # a full disk is reported elsewhere
            self._state.write(Run.from_trainer(trainer).folder)


@contextmanager
def record_end(trainer: L.Trainer, is_evaluated_next: bool = False) -> Iterator[None]:
    """Record how the training within the block ended, with the reason if an exception ended it."""
    recorder = find_callback(trainer, SessionRecorder) or SessionRecorder()
    try:
        yield
    except BaseException as error:
        status, reason = _explain(error)
        recorder.end(trainer, status, reason, diverged=isinstance(error, DivergedError))
        raise
    recorder.end_training(trainer, is_evaluated_next)


@contextmanager
def record_failed_evaluation(run: Run) -> Iterator[None]:
    """Record why the evaluation within the block, which follows a training, failed or was interrupted. Repeating the command
    evaluates again."""
    try:
        yield
    except BaseException as error:
        status, reason = _explain(error)
        state = recorded_state(run.folder)
        if state is not None and state.sessions:
            with suppress(OSError):
                state.end_session(status, f"in the evaluation: {reason}").write(run.folder)
        raise


def _explain(error: BaseException) -> tuple[Status, str]:
    """The status of a run that an exception ended, and the reason in a sentence."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", "interrupted"
    if isinstance(error, SystemExit):
        reached_limit = error.code == TIME_LIMIT_EXIT_CODE
        return "interrupted", "reached time_limit" if reached_limit else f"received a signal (exit code {error.code})"
    return "failed", (str(error).strip().splitlines() or [type(error).__name__])[0]


def _hardware(device: torch.device, ranks: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{ranks} x {name}" if ranks > 1 else name


def _peak_bytes(device: torch.device) -> int | None:
    """Return the peak memory: reserved on a GPU, else resident in the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
