"""Interruption: a signal or the end of the time asks a training to leave; it finishes the step, saves, and goes."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning as L

from stylegan_lab.callbacks.checkpoints import checkpoints_of
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.ranks import largest
from stylegan_lab.runs import Run

# What a shell expects of a process that left on a signal; SIGUSR1 and SIGUSR2 are how queues announce a SIGTERM.
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143, "SIGUSR2": 143, "SIGHUP": 129}
OUT_OF_TIME = 124  # as of timeout(1)
BEGAN = time.monotonic()  # the limit is on the whole process, as a queue's is


class Interruption(L.Callback):
    """Has to be the last callback: what it leaves must be a whole step, watched by all others."""

    def __init__(self, time_limit: int | str | None = None) -> None:
        self._ends = None if time_limit is None else BEGAN + seconds(time_limit)
        self._looked, self._longest = 0.0, 0.0
        self.asked = 0  # the code to leave with, once someone asked

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen again: Lightning has put up handlers of its own, which would end a process with code 0."""
        self._looked = time.monotonic()
        _put_up(dict.fromkeys(_signals(), self.ask))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        code = largest(self.asked or self._time_is_up(), pl_module.device)
        if code and not (code == OUT_OF_TIME and pl_module.iteration == pl_module.budget):
            leave(trainer, pl_module, code)

    def ask(self, number: int, _: Any) -> None:
        code = CODES[signal.Signals(number).name]
        if self.asked and number == signal.SIGINT:  # a second Ctrl-C leaves at once
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.asked = self.asked or code

    def _time_is_up(self) -> int:
        """Before another stretch as long as the longest so far, twice over, would run past the limit."""
        now = time.monotonic()
        self._longest, self._looked = max(self._longest, now - self._looked), now
        return OUT_OF_TIME if self._ends is not None and now + 2 * self._longest > self._ends else 0


@contextmanager
def listening(trainer: L.Trainer) -> Iterator[None]:
    """Within, signals only ask; what is still asked at the end, or when a signal took others down with it, is done then."""
    interruption = _of(trainer)
    before = _put_up(dict.fromkeys(_signals(), interruption.ask))
    try:
        yield
    except Exception:
        if not interruption.asked:
            raise
        Run.of(trainer).tell("interrupted before the next iteration could be played")
    finally:
        _put_up(before)
    if interruption.asked:
        raise SystemExit(interruption.asked)


def asked_to_leave(trainer: L.Trainer) -> bool:
    """Whether whoever is at something long should put it off."""
    return bool(_of(trainer).asked)


def leave(trainer: L.Trainer, module: Module, code: int) -> None:
    checkpoints = checkpoints_of(trainer)
    saved = checkpoints is not None and checkpoints.save(trainer, module)
    run = Run.of(trainer)
    if trainer.is_global_zero:
        why = "out of time" if code == OUT_OF_TIME else "interrupted"
        kept = "saved" if saved else "not saved"
        run.tell(
            f"{why} at iteration {module.iteration} of {module.budget}, {kept}; to go on: stylegan-lab train resume={run.folder}"
        )
    # The processes Lightning started must end well, or it would kill the first before that can.
    raise SystemExit(code if trainer.is_global_zero else 0)


def seconds(time_limit: int | str) -> int:
    """Of seconds, or of hours:minutes:seconds."""
    parts = str(time_limit).split(":")
    if len(parts) > 3 or not all(part.isdigit() for part in parts):
        raise Mistake(f"time_limit={time_limit} is not seconds or hours:minutes:seconds, such as 11:45:00")
    total = 0
    for part in parts:
        total = 60 * total + int(part)
    return total


def _of(trainer: L.Trainer) -> Interruption:
    return next((callback for callback in trainer.callbacks if isinstance(callback, Interruption)), Interruption())  # type: ignore[attr-defined]


def _signals() -> list[int]:
    """Those of them that this system has; nohup's wish not to hear of a closed terminal is respected."""
    known = [number for number in signal.Signals if number.name in CODES]
    return [int(number) for number in known if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]


def _put_up(handlers: Mapping[int, Any]) -> dict[int, Any]:
    """Handlers of signals, which only a main thread may have; returns those they replace."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number, handler in handlers.items()}
