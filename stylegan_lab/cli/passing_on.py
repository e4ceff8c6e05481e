"""Passing on: who waits for other processes hands them what it is asked by signals, and leaves when they have left."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from stylegan_lab.callbacks.interruption import CODES

ASKS = [name for name in CODES if name != "SIGINT"]  # Ctrl-C reaches all by itself


class PassingOn:
    """To processes, by number; one that is told of later hears what was asked before."""

    def __init__(self) -> None:
        self._processes: list[int] = []
        self._asked: list[int] = []

    def to(self, process: int) -> None:
        self._processes.append(process)
        for number in self._asked:
            _ask(process, number)

    def hear(self, number: int, _: Any) -> None:
        self._asked.append(number)
        for process in self._processes:
            _ask(process, number)


@contextmanager
def passing_on() -> Iterator[PassingOn]:
    passing = PassingOn()
    known = [number for name in ASKS if (number := getattr(signal, name, None)) is not None]
    heard = [number for number in known if signal.getsignal(number) != signal.SIG_IGN]  # as of SIGHUP under nohup
    before = {number: signal.signal(number, passing.hear) for number in heard}
    try:
        yield passing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ask(process: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
