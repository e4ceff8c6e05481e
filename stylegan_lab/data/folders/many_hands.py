"""Many processes at one list of work; one that dies or hangs over a piece of it takes nothing else with it."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from stylegan_lab.mistake import Mistake

Piece = TypeVar("Piece")
Result = TypeVar("Result")
AHEAD = 4  # pieces a process has at hand, so that it never waits for more
LOOKING = 1.0  # seconds between looks at the clock


class Lost(NamedTuple):
    """What became of a piece that no process brought back."""

    how: str


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def by_many_hands(
    function: Callable[[Piece], Result], pieces: Sequence[Piece], hands: int, patience: float
) -> Iterator[tuple[int, Result | Lost]]:
    """(index, result) as they are done. The piece a process died over, or over which it sat for longer than `patience`
    seconds, is Lost; what else that process had at hand goes to others."""
    waiting = deque(enumerate(pieces))
    team = [_Hand(function) for _ in range(min(hands, len(pieces)))]
    try:
        while waiting or any(hand.held for hand in team):
            for hand in team:
                hand.fill(waiting)
            wait([hand.line for hand in team], timeout=LOOKING)
            for place, hand in enumerate(team):
                yield from hand.done()
                if (how := hand.fate(patience)) is not None:
                    hand.end()
                    team[place] = _Hand(function)
                    waiting.extendleft(reversed(hand.held))
                    if hand.held:
                        yield waiting.popleft()[0], Lost(how)
    finally:
        for hand in team:
            hand.end()


class _Hand(Generic[Piece, Result]):
    """One process, the line to it, and what it was given."""

    def __init__(self, function: Callable[[Piece], Result]) -> None:
        context = _context(function)
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.held: deque[tuple[int, Piece]] = deque()
        self.ready = self.dead = False
        self.since = time.monotonic()  # when it began with the first of what it holds

    def fill(self, waiting: deque[tuple[int, Piece]]) -> None:
        while waiting and len(self.held) < AHEAD:
            if not self.held:
                self.since = time.monotonic()
            self.held.append(waiting.popleft())
            with suppress(OSError):  # it is dead, which shows when it is listened to
                self.line.send(self.held[-1])

    def done(self) -> Iterator[tuple[int, Result | Lost]]:
        try:
            while self.line.poll():
                answer = self.line.recv()
                self.since = time.monotonic()
                if not self.ready:
                    self.ready = True
                    continue
                yield self.held.popleft()[0], answer
        except (EOFError, OSError):
            self.dead = True

    def fate(self, patience: float) -> str | None:
        """How it came to its end, if it did or should."""
        if self.dead:
            self.process.join()
            if not self.ready:
                raise Mistake(f"a process to read pictures ended before it began ({_ending(self.process.exitcode)})")
            return f"ends the process that reads it ({_ending(self.process.exitcode)})"
        if self.ready and self.held and time.monotonic() - self.since > patience:
            return f"is not read within {patience:g} seconds"
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


def _context(function: Callable[[Any], Any]) -> Any:
    """A plain fork would inherit the locks of other threads, such as a progress bar's."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([getattr(function, "func", function).__module__])  # imported once, for all of them
    return context


def _serve(line: "Connection[Any, Any]", function: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory ends, this process goes first
    with suppress(EOFError, OSError):  # the first process is gone
        line.send("ready")
        while True:
            _, piece = line.recv()
            try:
                result = function(piece)
            except Exception as error:
                result = Lost(f"cannot be read: {type(error).__name__}: {error}")
            line.send(result)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
