"""Passing on: who waits for other processes hands them what it is asked by signals, and leaves when they have left."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

PASSED_ON = ("SIGTERM", "SIGUSR1")  # Ctrl-C and a closed terminal reach all by themselves


@contextmanager
def passing_on(to: Callable[[], Iterable[int]]) -> Iterator[None]:
    """`to` says which processes there are, by number."""

    def pass_on(number: int, _: object) -> None:
        for process in to():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    before = {name: signal.signal(getattr(signal, name), pass_on) for name in PASSED_ON if hasattr(signal, name)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
