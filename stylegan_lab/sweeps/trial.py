"""A trial: one run of a sweep, what became of it, and what its folder says while it plays and afterwards."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylegan_lab.sweeps.space import Point
from stylegan_lab.whole import write_text

TRIALS = "trials"  # the folder, beside the runs', of what the sweep itself keeps of each
STATES = ("waiting", "playing", "done", "pruned", "failed", "stopped")


@dataclass
class Trial:
    number: int
    point: Point
    seed: int | None
    overrides: list[str]
    sweep: Path
    state: str = "waiting"
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    iteration: int = 0
    iterations: int = 0
    seconds: float = 0.0  # played so far, in this and earlier processes

    @property
    def folder(self) -> Path:
        return self.sweep / str(self.number)

    @property
    def log(self) -> Path:
        """What its processes printed."""
        return self.sweep / TRIALS / f"{self.number}.txt"

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "pruned", "failed")

    def name(self) -> str:
        return ", ".join(f"{_last(key)}={value}" for key, value in self.settings().items()) or "as it is"

    def settings(self) -> dict[str, str]:
        return self.point | ({} if self.seed is None else {"seed": str(self.seed)})

    def write(self) -> None:
        kept = {
            name: value for name, value in vars(self).items() if name in KEPT
        }  # what the run's own folder does not say
        write_text(self.sweep / TRIALS / f"{self.number}.json", json.dumps(kept, indent=2) + "\n")

    def read(self) -> None:
        """What was written of it, if that was asked in the same words, and what its run's folder says."""
        with suppress(OSError, ValueError):
            kept = json.loads((self.sweep / TRIALS / f"{self.number}.json").read_text(encoding="utf-8"))
            self.seconds = kept["seconds"]
            if kept["overrides"] == self.overrides:
                self.state, self.reason = kept["state"], kept["reason"]
        self.look(Follower(self.folder))

    def look(self, follower: "Follower") -> list[dict[str, float]]:
        """Catch up with the run's record; returns its new lines."""
        rows = list(follower.new_rows())
        for row in rows:
            self.iteration = int(row["iteration"])
            self.scores |= {name: value for name, value in row.items() if name not in ("iteration", "time")}
        if self.state != "playing":
            self.scores |= _evaluated(self.folder)
        self.iterations = self.iterations or _budget(self.folder)
        return rows


KEPT = ("number", "point", "seed", "overrides", "state", "reason", "seconds")


class Follower:
    """Reads a run's metrics.jsonl as it grows; from its beginning again when it was cut."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._read, self._file = 0, 0

    def new_rows(self) -> Iterator[dict[str, float]]:
        try:
            status = self._path.stat()
            if status.st_ino != self._file or status.st_size < self._read:
                self._file, self._read = status.st_ino, 0
            with self._path.open("rb") as record:
                record.seek(self._read)
                new = record.read()
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError):
                yield json.loads(line)


def read_trials(sweep: Path) -> list[Mapping[str, Any]]:
    """What was written of each trial, in their order."""
    found = []
    for path in (sweep / TRIALS).glob("*.json"):
        with suppress(OSError, ValueError):
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return sorted(found, key=lambda kept: kept["number"])


def of_record(kept: Mapping[str, Any], sweep: Path) -> Trial:
    trial = Trial(kept["number"], kept["point"], kept["seed"], kept["overrides"], sweep)
    trial.read()
    return trial


def _evaluated(folder: Path) -> dict[str, float]:
    """Scores of an evaluation, by the split they were taken on: test/ssim."""
    with suppress(OSError, ValueError, KeyError):
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        return {f"{scores['split']}/{name}": value for name, value in scores["metrics"].items()}
    return {}


def _budget(folder: Path) -> int:
    """In iterations, as the run's log tells it when it starts."""
    with suppress(OSError):
        if told := re.findall(r"of (\d+) iterations", (folder / "log.txt").read_text(encoding="utf-8")):
            return int(told[-1])
    return 0


def _last(key: str) -> str:
    """A setting's own name: cycle_weight of model.cycle_weight."""
    return key.split(".")[-1].lstrip("+")
