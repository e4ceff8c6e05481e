"""An entrant: one run as its folder tells of it, whatever state it was left in. What cannot be told is said in a sentence."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stylegan_lab.comparison.cost import Cost, cost_of
from stylegan_lab.comparison.score import Score, scores_of, scores_on_the_way
from stylegan_lab.sweeps.trial import Follower

Curves = Mapping[str, Sequence[tuple[int, float]]]  # (iteration, value), by name
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


@dataclass(frozen=True)
class Entrant:
    folder: Path
    config: Mapping[str, Any] | None
    environment: Mapping[str, Any]
    scores: Mapping[str, Score]  # by split and metric: test/ssim
    evaluation: Mapping[str, Any]  # the latest, whole
    curves: Curves
    iteration: int
    budget: int | None
    cost: Cost
    identity: str  # the same wherever the folder is moved
    faults: Sequence[str] = field(default_factory=tuple)

    @property
    def seed(self) -> int | None:
        return (self.config or {}).get("seed")

    @property
    def state(self) -> str:
        if self.budget is None:
            return "unknown"
        return "done" if self.iteration >= self.budget else "unfinished"

    @property
    def samples(self) -> dict[int, Path]:
        """Sample grids, by iteration."""
        found = {int(path.stem): path for path in (self.folder / "samples").glob("*.png") if path.stem.isdigit()}
        return dict(sorted(found.items()))


def read_run(folder: Path) -> Entrant:
    told: list[str] = []
    config = _read(folder / "config.yaml", _as_yaml, told, "its settings are not known")
    environment = _read(folder / "environment.json", json.loads, told, "machine and versions are not known") or {}
    watched = _read(folder / "protocol.json", json.loads, [], "") or {}  # older runs have none
    rows = list(Follower(folder).new_rows())
    evaluations = _evaluations(folder, told)
    budget, iteration = _budget(folder), int(rows[-1].get("iteration", 0)) if rows else 0
    iteration = max([iteration, *(int(each.get("iteration", 0)) for each in evaluations)])
    scores: dict[str, Score] = {}
    for each in (scores_on_the_way(rows, watched, (config or {}).get("data") or {}), *map(scores_of, evaluations)):
        scores |= each
    if not rows:
        told.append("nothing is recorded of it: killed before its first line, or just begun")
    elif budget is not None and iteration < budget:
        told.append(f"it is at {iteration} of {budget} iterations: killed, or still playing")
    if rows and not evaluations:
        told.append(f"not evaluated; stylegan-lab evaluate {folder}")
    return Entrant(
        folder,
        config,
        environment,
        scores,
        evaluations[-1] if evaluations else {},
        _curves(rows),
        iteration,
        budget,
        cost_of(folder, config or {}, environment, rows, iteration),
        _identity(folder, rows),
        told,
    )


def _read(path: Path, parse: Callable[[str], Any], told: list[str], then: str) -> Any:
    try:
        contents = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        told.append(f"it has no {path.name}: {then}")
    except (OSError, ValueError, yaml.YAMLError):
        told.append(f"its {path.name} cannot be read: {then}")
    else:
        if isinstance(contents, dict):
            return contents
        told.append(f"its {path.name} is cut off: {then}")
    return None


def _as_yaml(text: str) -> Any:
    return yaml.load(text, LOADER)


def _evaluations(folder: Path, told: list[str]) -> list[dict[str, Any]]:
    """All there were; the latest of a split comes last."""
    lines: list[str] = []
    for name in ("scores.jsonl", "scores.json"):
        path = folder / name
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            lines += text.splitlines() if name.endswith("l") else [text]
    found = []
    for line in lines:
        try:
            scores = json.loads(line)
            if not isinstance(scores["metrics"], dict):
                raise ValueError
            found.append(scores)
        except (ValueError, KeyError, TypeError):
            told.append("an evaluation of it cannot be read")
    return found


def _curves(rows: Sequence[Mapping[str, float]]) -> Curves:
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("iteration", "time") and isinstance(value, int | float):
                curves.setdefault(name, []).append((int(row["iteration"]), float(value)))
    return curves


def _budget(folder: Path) -> int | None:
    """In iterations, as the run's log tells it when it starts."""
    try:
        told = re.findall(r"of (\d+) iterations", (folder / "log.txt").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return int(told[-1]) if told else None


def _identity(folder: Path, rows: Sequence[Mapping[str, float]]) -> str:
    began = str(rows[0].get("time")) if rows else str(folder.resolve())
    try:
        config = (folder / "config.yaml").read_bytes()
    except OSError:
        config = b""
    return hashlib.sha256(config + began.encode()).hexdigest()[:16]
