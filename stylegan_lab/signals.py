"""Signals that ask a process to save and exit: a table of their exit codes, and handlers that are installed for the duration of a
block."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from typing import Any

# The exit code that a shell expects after each signal. Queues announce a SIGTERM by SIGUSR1 or SIGUSR2.
EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143, "SIGUSR2": 143, "SIGHUP": 129}
SIGNAL_EXIT_CODES = frozenset(EXIT_CODES.values())
TIME_LIMIT_EXIT_CODE = 124  # as timeout(1) has it
Handler = Callable[[int, Any], None]


def exit_code(number: int) -> int:
    return EXIT_CODES[signal.Signals(number).name]


def install_handlers(handler: Handler, names: Iterable[str] = EXIT_CODES) -> dict[int, Any]:
    """Set one handler for these signals and return the handlers it replaces. Does nothing outside the main thread.

    Signals that the system does not have are skipped. An ignored SIGHUP stays ignored, as nohup asks.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [number for name in names if (number := getattr(signal, name, None)) is not None]
    ignored = getattr(signal, "SIGHUP", None)
    kept = [number for number in numbers if number != ignored or signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in kept}


@contextmanager
def handle_signals(handler: Handler, names: Iterable[str] = EXIT_CODES) -> Iterator[None]:
    """Within the block, these signals only call `handler(number, frame)`."""
    before = install_handlers(handler, names)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


class SignalForwarder:
    """Sends the signals that this process receives to other processes. A process added later gets the earlier ones too."""

    def __init__(self) -> None:
        self._processes: list[int] = []
        self._received: list[int] = []

    def add(self, process: int) -> None:
        self._processes.append(process)
        _send([process], self._received)

    def forward(self, number: int, _: Any) -> None:
        self._received.append(number)
        _send(self._processes, [number])


@contextmanager
def forward_signals() -> Iterator[SignalForwarder]:
    """Within the block, received signals are forwarded to the processes that were added to the forwarder. SIGINT is not
    forwarded: on Ctrl-C the terminal sends it to all of them."""
    forwarder = SignalForwarder()
    with handle_signals(forwarder.forward, [name for name in EXIT_CODES if name != "SIGINT"]):
        yield forwarder


def _send(processes: Iterable[int], numbers: Iterable[int]) -> None:
    for process, number in product(processes, numbers):
        with suppress(ProcessLookupError):
            os.kill(process, number)
