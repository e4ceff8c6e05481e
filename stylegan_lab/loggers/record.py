"""The record: metrics.jsonl, one line for each time losses are due, appended and flushed. Every other logger mirrors it."""

import errno
import json
import os
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from stylegan_lab.whole import write_text


class Record(Logger):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "record"

    @property
    def version(self) -> str:
        return self.path.parent.name

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        if values:
            line = json.dumps({"iteration": step, "time": round(time.time(), 3), **values})
            try:
                _append(self.path, f"{line}\n".encode())
            except OSError as error:
                warnings.warn(f"{self.path}: {error.strerror}; iteration {step} is missing from it", stacklevel=2)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's config.yaml says it already."""


def read_record(path: Path) -> list[dict[str, float]]:
    """The lines of a record; one that was cut off while being written is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def cut_record(path: Path, iteration: int, scores_owed: bool = False) -> None:
    """Forget what was recorded after `iteration`, as a training that goes on from there will record it again; also the scores of
    `iteration` itself where they are owed, for one that was killed may have paid them."""
    if not path.exists():
        return

    def stays(row: Mapping[str, float]) -> bool:
        owed = scores_owed and row["iteration"] == iteration and any(name.startswith("val/") for name in row)
        return row["iteration"] <= iteration and not owed

    kept = [row for row in read_record(path) if stays(row)]
    write_text(path, "".join(json.dumps(row) + "\n" for row in kept))


def _append(path: Path, line: bytes) -> None:
    """All of a line or nothing of it."""
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise
