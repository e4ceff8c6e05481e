"""Together: when one process of a training is gone, the others end too, and say which it was."""

import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from subprocess import Popen, TimeoutExpired
from typing import Any

import lightning as L

from stylegan_lab.runs import Run

LOOK = 1.0  # seconds between looks at the others
GRACE = 10.0  # seconds in which a process may notice by itself; on GPUs it would wait for the lost one much longer
PARENT = os.getppid()
LOST = re.compile(r"Connection (closed|reset) by peer|Broken pipe|gloo/transport|NCCL|ProcessGroup|Socket")


@contextmanager
def together(trainer: L.Trainer, run: Run) -> Iterator[None]:
    """Within, the processes look after each other."""
    left = threading.Event()
    if trainer.world_size > 1:
        threading.Thread(target=_watch, args=(trainer, run, left), daemon=True).start()
    try:
        yield
    finally:
        left.set()


def lost(error: Exception, trainer: L.Trainer) -> str | None:
    """A sentence, if `error` says that another process is gone."""
    if trainer.world_size == 1 or not LOST.search(str(error)):
        return None
    for child in _children(trainer):
        with suppress(TimeoutExpired):
            child.wait(2 * LOOK)
    return (
        _who(_children(trainer)) or _parent(trainer) or "another process of this training is gone; it says why itself"
    )


def _watch(trainer: L.Trainer, run: Run, left: threading.Event) -> None:
    while not left.wait(LOOK):
        if (who := _who(_children(trainer)) or _parent(trainer)) is None:
            continue
        if not left.wait(GRACE):
            run.tell(f"stopped: {who}")
            os._exit(1)
        return


def _who(children: Sequence["Popen[Any]"]) -> str | None:
    for rank, child in enumerate(children, start=1):
        if code := child.poll():
            how = f"was ended by {_signal(-code)}" if code < 0 else f"left with code {code}, and says above why"
            return f"rank {rank} of this training {how}"
    return None


def _parent(trainer: L.Trainer) -> str | None:
    gone = not trainer.is_global_zero and os.getppid() != PARENT
    return "the process that started this one is gone, killed most often for want of memory" if gone else None


def _signal(number: int) -> str:
    name = signal.Signals(number).name
    return f"{name}, most often for want of memory" if name == "SIGKILL" else name


def _children(trainer: L.Trainer) -> Sequence["Popen[Any]"]:
    """The further processes that this one started; none where someone else starts them, and looks after them."""
    started = getattr(getattr(trainer.strategy, "launcher", None), "procs", [])
    return [each for each in started if isinstance(each, Popen)]
