"""The state of a run during training, read repeatedly from its folder. Reading does not write to the folder or block the
training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stylegan_lab.files.file_lock import is_locked
from stylegan_lab.reporting.run_record import RunRecord, extend_curves, read_run
from stylegan_lab.runs.metrics_file import MetricsFollower
from stylegan_lab.runs.reader import last_log_lines
from stylegan_lab.runs.run import LOCK_FILE

LOG_LINES = 20  # of log.txt
PACE_ROWS = 100  # of metrics.jsonl, over which the time left is extrapolated
MISSING = "the folder is missing: it was moved or deleted"


@dataclass(frozen=True)
class WatchedScore:
    name: str
    value: float
    iteration: int | None
    best: float | None  # of the training so far. None: its direction is unknown, or it was computed only once
    direction: str | None


@dataclass(frozen=True)
class RunSnapshot:
    """The state of a run at one moment."""

    record: RunRecord
    status: str  # of run.json, `unknown` or `missing`
    is_over: bool  # no process trains the run any more
    seconds_left: float | None
    log: Sequence[str]

    @property
    def folder(self) -> Path:
        return self.record.folder

    @property
    def reason(self) -> str:
        """The reason why the latest session ended, or an empty text while it runs."""
        return (self.record.sessions[-1].reason or "") if self.record.sessions else ""

    @property
    def warnings(self) -> Sequence[str]:
        return [MISSING] if self.status == "missing" else self.record.damage

    @property
    def images_per_second(self) -> float | None:
        return self.record.curves["images_per_second"][-1][1] if "images_per_second" in self.record.curves else None

    @property
    def scores(self) -> list[WatchedScore]:
        """The latest scores of validation during training and of evaluations."""
        found = []
        for name, score in self.record.scores.items():
            values = [value for _, value in self.record.curves.get(name, ()) if math.isfinite(value)]
            best = {"lower": min, "higher": max}.get(score.direction or "")
            best_value = best(values) if best and values else None
            found.append(WatchedScore(name, score.value, score.iteration, best_value, score.direction))
        return found

    @property
    def sample(self) -> Path | None:
        """The latest sample grid."""
        return next(iter(reversed(self.record.samples.values())), None)


class LiveRun:
    """Reads the folder of a run repeatedly. Each line of metrics.jsonl is read only once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._follower = MetricsFollower(self.folder)
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self._rows: list[dict[str, float]] = []

    def read(self) -> RunSnapshot:
        new = list(self._follower.new_rows())
        if self._follower.restarted:
            self._curves, self._rows = {}, []
        extend_curves(self._curves, new)
        self._rows = _without_old_losses([*self._rows, *new])
        record = replace(read_run(self.folder, self._rows), curves=self._curves)
        status = record.state if self.folder.is_dir() else "missing"
        is_starting = status == "unknown" and is_locked(self.folder / LOCK_FILE)
        is_over = status != "running" and not is_starting
        left = None if is_over else _seconds_left(record, self._rows)
        return RunSnapshot(record, status, is_over, left, last_log_lines(self.folder, LOG_LINES))


def _without_old_losses(rows: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Keep the first row, the rows with scores and the latest rows, so that a long training also has few rows."""
    recent = len(rows) - PACE_ROWS
    return [
        row
        for index, row in enumerate(rows)
        if index == 0 or index >= recent or any(name.startswith("val/") for name in row)
    ]


def _seconds_left(record: RunRecord, rows: Sequence[Mapping[str, float]]) -> float | None:
    """Extrapolate the remaining seconds from the latest rows of this session. This includes the time that validation takes."""
    if not record.max_iterations:
        return None
    first_iteration = record.sessions[-1].first_iteration if record.sessions else 0
    timed = [
        (row["iteration"], row["time"])
        for row in rows[-PACE_ROWS:]
        if isinstance(row.get("time"), int | float) and row["iteration"] > first_iteration
    ]
    if not timed or timed[-1][0] <= timed[0][0]:
        return None
    pace = (timed[-1][1] - timed[0][1]) / (timed[-1][0] - timed[0][0])
    return max(0.0, pace * (record.max_iterations - record.iteration))
