"""Preemption: on a signal, or shortly before the time limit, a training finishes its iteration, saves and exits."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L

from stylegan_lab.callbacks.checkpointing import Checkpointing
from stylegan_lab.callbacks.ema import find_callback
from stylegan_lab.distributed import max_over_ranks
from stylegan_lab.errors import UserError
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.run import Run
from stylegan_lab.signals import TIME_LIMIT_EXIT_CODE, exit_code, handle_signals, install_handlers

PROCESS_START = time.monotonic()  # a queue limits the time of the process, so imports count too
SECONDS_BETWEEN_CHECKS = 1.0
MAX_ITERATIONS_BETWEEN_CHECKS = 100


class Preemption(L.Callback):
    """Stops a training after a complete iteration. It has to be the last callback, so that all others have handled this
    iteration."""

    def __init__(self, time_limit: int | str | None = None) -> None:
        self._deadline = None if time_limit is None else PROCESS_START + parse_time_limit(time_limit)
        self._previous_check, self._longest_interval = 0.0, 0.0
        self._next_check = self._checked_iteration = 0  # of several ranks, which agree on both
        self.requested_exit_code = 0  # 0: nobody has asked to stop

    def on_train_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        """Install the signal handlers again, because Lightning has replaced them with handlers that exit with code 0."""
        self._previous_check = self._measured_at = time.monotonic()
        self._checked_iteration = pl_module.iteration
        install_handlers(self.request_stop)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        iteration = pl_module.iteration
        if trainer.world_size > 1 and self._next_check > iteration != pl_module.max_iterations:
            return
        code = max_over_ranks(self.requested_exit_code or self._check_time(), pl_module.device)
        if trainer.world_size > 1:
            self._next_check = iteration + max_over_ranks(self._iterations_between_checks(iteration), pl_module.device)
        if code and not (code == TIME_LIMIT_EXIT_CODE and pl_module.iteration == pl_module.max_iterations):
            stop_and_exit(trainer, pl_module, code)

    def request_stop(self, number: int, _: Any) -> None:
        if self.requested_exit_code and number == signal.SIGINT:  # a second Ctrl-C exits at once
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.requested_exit_code = self.requested_exit_code or exit_code(number)

    def _check_time(self) -> int:
        """The exit code of the time limit if two more intervals, each as long as the longest so far, would exceed it."""
        now = time.monotonic()
        self._longest_interval = max(self._longest_interval, now - self._previous_check)
        self._previous_check = now
        expired = self._deadline is not None and now + 2 * self._longest_interval > self._deadline
        return TIME_LIMIT_EXIT_CODE if expired else 0

    def _iterations_between_checks(self, iteration: int) -> int:
        """How many iterations take about `SECONDS_BETWEEN_CHECKS`: each check of several ranks waits for all of them."""
        now, done = time.monotonic(), iteration - self._checked_iteration
        seconds = (now - self._measured_at) / max(1, done)
        self._measured_at, self._checked_iteration = now, iteration
        return max(1, min(int(SECONDS_BETWEEN_CHECKS / max(seconds, 1e-6)), MAX_ITERATIONS_BETWEEN_CHECKS))


@contextmanager
def exit_on_signal(trainer: L.Trainer) -> Iterator[None]:
    """Within the block, a signal does not interrupt the process but requests a stop. At the end of the block, the process exits if
    a stop was requested."""
    preemption = find_callback(trainer, Preemption) or Preemption()
    with handle_signals(preemption.request_stop):
        try:
            yield
        except Exception:
            if not preemption.requested_exit_code:
                raise
            Run.from_trainer(trainer).log("interrupted before the next iteration was done")
    if preemption.requested_exit_code:
        raise SystemExit(preemption.requested_exit_code)


@contextmanager
def count_time_from_here() -> Iterator[None]:
    """Within the context, a time limit is counted from the start of the context. Otherwise it is counted from the start of the
    process, which may be a notebook that has run for hours."""
    global PROCESS_START
    before, PROCESS_START = PROCESS_START, time.monotonic()
    try:
        yield
    finally:
        PROCESS_START = before


def stop_requested(trainer: L.Trainer) -> bool:
    """Return whether a stop was requested, so that long work such as validation should be postponed."""
    preemption = find_callback(trainer, Preemption)
    return preemption is not None and bool(preemption.requested_exit_code)


def stop_and_exit(trainer: L.Trainer, module: BaseModel, code: int) -> None:
    checkpointing = find_callback(trainer, Checkpointing)
    saved = "saved" if checkpointing and checkpointing.save(trainer, module) else "not saved"
    run = Run.from_trainer(trainer)
    if trainer.is_global_zero:
        at = f"{'out of time' if code == TIME_LIMIT_EXIT_CODE else 'interrupted'} at iteration {module.iteration}"
        run.log(f"{at} of {module.max_iterations}, {saved}; to resume: stylegan-lab train resume={run.folder}")
    # The other ranks exit with 0: Lightning would otherwise kill the first one before it is done.
    raise SystemExit(code if trainer.is_global_zero else 0)


def parse_time_limit(time_limit: int | str) -> int:
    """Convert a time limit, given as seconds, minutes:seconds or hours:minutes:seconds, to seconds."""
    parts = str(time_limit).split(":")
    if len(parts) > 3 or not all(part.isdigit() for part in parts):
        raise UserError(
            "config.invalid_time_limit",
            f"time_limit={time_limit} is not a time; give seconds, minutes:seconds or hours:minutes:seconds, such as 11:45:00",
        )
    return sum(int(part) * 60**power for power, part in enumerate(reversed(parts)))
