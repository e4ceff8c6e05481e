"""How far something has come, on standard error: a bar in a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY = 10.0  # seconds between lines


class Advance(Protocol):
    """Hears how much more is done, and what there is to say of it."""

    def __call__(self, more: int, said: str = "", /) -> None: ...


@contextmanager
def progress(what: str, total: int | None, done: int = 0, in_bytes: bool = True) -> Iterator[Advance]:
    if sys.stderr.isatty():
        counted = DownloadColumn() if in_bytes else MofNCompleteColumn()
        columns = [TextColumn("{task.description}"), BarColumn(20), counted, TimeRemainingColumn()]
        columns.append(TextColumn("{task.fields[said]}", markup=False))
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total, completed=done, said="")
            yield lambda more, said="": bar.update(task, advance=more, said=said)
        return
    told = time.monotonic()

    def advance(more: int, said: str = "", /) -> None:
        nonlocal done, told
        done += more
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            print(f"{what}  {_of(done, total, in_bytes)}{said and f'  {said}'}", file=sys.stderr, flush=True)

    yield advance


def _of(done: int, total: int | None, in_bytes: bool) -> str:
    said = amount if in_bytes else str
    return said(done) + (f" of {said(total)}" if total else "")


def amount(count: int) -> str:
    """117 MB"""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":
            return f"{size:.0f} {unit}" if size >= 9.95 or unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
