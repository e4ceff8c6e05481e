"""Text for a terminal: tables, progress, amounts and durations."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 10.0


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line of text per row, with aligned columns. All rows must have the same number of cells.

    rich would wrap or truncate the cells at 80 columns when the output is a file or a pipe.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


class ProgressDisplay:
    """Shows a progress bar on a terminal. In a file or a pipe it prints a line of text every ten seconds instead."""

    def __init__(
        self, file: TextIO, columns: Sequence[ProgressColumn], what: str, total: int | None, done: int, **fields: Any
    ) -> None:
        self._file, self._printed, self._total, self._lines = file, time.monotonic(), total, 0
        self._bar: Progress | None = None
        if file.isatty():
            self._bar = Progress(*columns, console=Console(file=file))
            self._bar.start()
            self._bar.add_task(what, total=total, completed=done, **fields)

    @property
    def is_bar(self) -> bool:
        return self._bar is not None

    def update(self, done: int, line: Callable[[], str], print_now: bool = False, **fields: Any) -> None:
        """Show how much is done. `fields` are values for the columns of the bar. Without a bar, `line` is called to make a line
        of text when one is due; the last step always gets a line if others were printed before."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, **fields)
        elif print_now or self._is_due(done):
            self._printed = time.monotonic()
            self._lines += 1
            print(line(), file=self._file, flush=True)

    def _is_due(self, done: int) -> bool:
        seconds = time.monotonic() - self._printed
        return seconds > SECONDS_BETWEEN_LINES or (self._lines > 0 and done == self._total)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def report_progress(
    what: str, total: int | None, done: int = 0, in_bytes: bool = True
) -> Iterator[Callable[..., None]]:
    """Show progress on standard error. The context yields a function `advance(amount, note="")`: `amount` is what was done since
    the last call, and `note` is a text to show next to the progress."""
    columns = [
        TextColumn("{task.description}"),
        BarColumn(20),
        DownloadColumn() if in_bytes else MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    ]
    display = ProgressDisplay(sys.stderr, columns, what, total, done, note="")
    start, started = done, time.monotonic()
    shown = format_amount if in_bytes else str

    def line(note: str) -> str:
        left = (time.monotonic() - started) / (done - start) * (total - done) if total and done > start else 0
        of_total = f" of {shown(total)}" if total else ""
        return f"{what}  {shown(done)}{of_total}{f', {format_seconds(left)} left' if left > 0 else ''}  {note}".rstrip()

    def advance(amount: int, note: str = "", /) -> None:
        nonlocal done
        done += amount
        display.update(done, lambda: line(note), note=note)

    try:
        yield advance
    finally:
        display.close()


def format_amount(count: int) -> str:
    """Format a number of bytes, such as `117 MB`."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if size >= 999.5:
            size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if size >= 9.95 or unit == "bytes" else f"{size:.1f} {unit}"


def format_seconds(seconds: float) -> str:
    """Format a duration as hours:minutes:seconds, such as `1:02:03` or `0:00:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def format_json(value: Any, indent: int | None = None) -> str:
    """Format a value as strict JSON. NaN and infinity become null, because JSON cannot represent them."""
    return json.dumps(_replace_non_finite(value), indent=indent, allow_nan=False)


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _replace_non_finite(each) for key, each in value.items()}
    return [_replace_non_finite(each) for each in value] if isinstance(value, list | tuple) else value
