"""Run records: the settings, scores, curves and cost of a run, read from its folder. The run may be unfinished or damaged."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from stylegan_lab.reporting.score_protocol import ProtocolScore, scores_by_name, validation_scores
from stylegan_lab.runs.metrics_file import MetricsFollower
from stylegan_lab.runs.reader import read_evaluations, read_protocol, read_state
from stylegan_lab.runs.run import Run
from stylegan_lab.runs.state import Session

YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times as fast
Curves = Mapping[str, Sequence[tuple[int, float]]]  # (iteration, value), by name


@dataclass(frozen=True)
class RunCost:
    """The cost of a run so far. None means that a value was not recorded."""

    images: int | None = None
    seconds: float | None = None
    gpu_hours: float | None = None
    peak_bytes: int | None = None
    hardware: str = ""


@dataclass(frozen=True)
class RunRecord:
    folder: Path
    config: Mapping[str, Any] | None
    environment: Mapping[str, Any]
    scores: Mapping[str, ProtocolScore]  # by split and metric: test/ssim
    evaluation: Mapping[str, Any]  # the latest one
    curves: Curves
    iteration: int
    max_iterations: int | None
    state: str  # of run.json, or `unknown`
    cost: RunCost
    run_id: str  # stays the same when the folder is moved
    warnings: Sequence[str] = field(default_factory=tuple)
    damage: Sequence[str] = ()  # those of the warnings that concern missing or damaged files
    sessions: Sequence[Session] = ()

    @property
    def seed(self) -> int | None:
        return (self.config or {}).get("seed")

    @property
    def samples(self) -> dict[int, Path]:
        return sample_grids(self.folder)


def sample_grids(folder: Path) -> dict[int, Path]:
    """The sample grids in the folder of a run by iteration, in ascending order."""
    found = {int(path.stem): path for path in (folder / "samples").glob("*.png") if path.stem.isdigit()}
    return dict(sorted(found.items()))


def read_run(folder: Path, rows: Sequence[Mapping[str, float]] | None = None) -> RunRecord:
    """Read the record of a run from its folder. A missing or damaged file is reported by a sentence in `warnings`.

    Pass the rows of metrics.jsonl as `rows` if they have already been read.
    """
    warnings: list[str] = []
    parse_yaml = partial(yaml.load, Loader=YAML_LOADER)
    config = _read(folder / "config.yaml", parse_yaml, warnings, "the settings are unknown")
    environment = _read(folder / "environment.json", json.loads, warnings, "machine and versions are unknown") or {}
    protocol = read_protocol(Run(folder))
    rows = list(MetricsFollower(folder).new_rows()) if rows is None else rows
    evaluations, state = read_evaluations(Run(folder), warnings), read_state(folder)
    reached = [state.iteration] if state else [int(each.get("iteration", 0)) for each in evaluations]
    iteration = max([0, *(int(row.get("iteration", 0)) for row in rows[-1:]), *reached])
    scores: dict[str, ProtocolScore] = {}
    for each in (
        validation_scores(rows, protocol, (config or {}).get("data") or {}),
        *map(scores_by_name, evaluations),
    ):
        scores |= each
    damage = tuple(warnings)
    if not rows:
        warnings.append("no metrics are recorded: it has just started, or was stopped before its first log line")
    elif state is not None and not state.is_finished:
        progress = "still training" if state.status == "running" else state.status
        warnings.append(f"at iteration {iteration} of {state.budget}: {progress}")
    if rows and not evaluations:
        warnings.append(f"not evaluated; run stylegan-lab evaluate {folder}")
    sessions = state.sessions if state else ()
    return RunRecord(
        folder,
        config,
        environment,
        scores,
        evaluations[-1] if evaluations else {},
        extend_curves({}, rows),
        iteration,
        state.budget if state else None,
        "unknown" if state is None else state.status,
        _cost(sessions, config or {}, environment, iteration),
        _run_id(folder, rows),
        warnings,
        damage,
        sessions,
    )


def _read(path: Path, parse: Callable[[str], Any], warnings: list[str], consequence: str) -> Any:
    try:
        contents = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        warnings.append(f"{path.name} is missing: {consequence}")
    except (OSError, ValueError, yaml.YAMLError):
        warnings.append(f"{path.name} cannot be read: {consequence}")
    else:
        if isinstance(contents, dict):
            return contents
        warnings.append(f"{path.name} is truncated: {consequence}")
    return None


def extend_curves(curves: dict[str, list[tuple[int, float]]], rows: Sequence[Mapping[str, float]]) -> Curves:
    """Append each value of the rows to the curve of the same name."""
    for row in rows:
        for name, value in row.items():
            if name not in ("iteration", "time") and isinstance(value, int | float):
                curves.setdefault(name, []).append((int(row["iteration"]), float(value)))
    return curves


def _cost(
    sessions: Sequence[Session], config: Mapping[str, Any], environment: Mapping[str, Any], iteration: int
) -> RunCost:
    batch = (config.get("data") or {}).get("batch_size")
    images = iteration * batch * int(environment.get("world_size") or 1) if isinstance(batch, int) else None
    if not sessions:
        return RunCost(images)
    return RunCost(
        images,
        sum(each.seconds for each in sessions),
        sum(each.seconds * each.gpus for each in sessions) / 3600,
        max((each.peak_bytes for each in sessions if each.peak_bytes), default=None),
        ", ".join(dict.fromkeys(each.hardware for each in sessions if each.hardware)),
    )


def _run_id(folder: Path, rows: Sequence[Mapping[str, float]]) -> str:
    start = str(rows[0].get("time")) if rows else str(folder.resolve())
    try:
        config = (folder / "config.yaml").read_bytes()
    except OSError:
        config = b""
    return hashlib.sha256(config + start.encode()).hexdigest()[:16]
