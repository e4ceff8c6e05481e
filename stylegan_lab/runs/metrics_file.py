"""The file metrics.jsonl: each log step appends one JSON line, and resuming a run deletes the lines that it will write again."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stylegan_lab.files.atomic_write import write_text_atomic


class MetricsFollower:
    """Reads a run's metrics.jsonl as it grows, and from the beginning again after it was truncated."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._read, self._file = 0, 0
        self.restarted = False  # whether the latest new rows begin with the first line of the file

    def new_rows(self) -> Iterator[dict[str, float]]:
        try:
            status = self._path.stat()
            if status.st_ino != self._file or status.st_size < self._read:
                self._file, self._read = status.st_ino, 0
            self.restarted = self._read == 0
            with self._path.open("rb") as record:
                record.seek(self._read)
                new = record.read()
        except OSError:
            self.restarted = False
            return
        complete = new[: new.rfind(b"\n") + 1]
        self._read += len(complete)
        for line in complete.splitlines():
            with suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and isinstance(row.get("iteration"), int | float):
                    yield row


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the rows of a metrics file. A last line that was only partly written is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def truncate_metrics(path: Path, iteration: int, scores_pending: bool = False) -> None:
    """Delete the rows after `iteration`, which a training that resumes at `iteration` writes again.

    With `scores_pending`, the scores of `iteration` itself are deleted too: the resumed training computes them again.
    """
    if path.exists():
        rows = [row for row in read_metrics(path) if row["iteration"] <= iteration]
        if scores_pending:
            rows = [
                row for row in rows if row["iteration"] < iteration or not any(name.startswith("val/") for name in row)
            ]
        write_text_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))


def append_line(path: Path, line: bytes) -> None:
    """Append a line completely or not at all, also on a full disk."""
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise
