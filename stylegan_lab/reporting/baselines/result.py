"""A result: the scores of one trained seed of a baseline, with the code, hardware and settings. Each result is one JSON file."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stylegan_lab.config.paths import BASELINES
from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.reporting.baselines.baseline import Baseline, settings_fingerprint
from stylegan_lab.runs.environment import commit_of_code
from stylegan_lab.runs.reader import read_environment, read_overrides, read_text
from stylegan_lab.runs.run import Run
from stylegan_lab.training.hardware import lightning_precision

SCHEMA = 1
RECORDED_RESULTS = BASELINES / "results"
HARDWARE = ("platform", "processor", "cpu_count", "threads", "gpus", "cuda", "world_size")


@dataclass(frozen=True)
class BaselineResult:
    baseline: str
    baseline_fingerprint: str
    settings_fingerprint: str
    seed: int
    date: str
    commit: str | None  # that trained, in the last session
    has_local_changes: bool | None  # whether any code that trained or evaluated differs from its commit; None: unknown
    hardware: Mapping[str, Any]
    versions: Mapping[str, Any]
    overrides: list[str]
    wall_seconds: float | None  # of the training; None: it was trained in several sessions or passed with --run
    scores: Mapping[str, Any]  # as in scores.json
    earlier_commits: list[str] = field(default_factory=list)  # of sessions before the last, where they differ
    evaluation_commit: str | None = None  # where it differs from `commit`
    note: str | None = None  # what else belongs to its provenance
    schema: int = SCHEMA

    @property
    def metrics(self) -> Mapping[str, float]:
        return metric_values(self.scores)

    @classmethod
    def from_run(
        cls, baseline: Baseline, seed: int, run: Run, scores: Mapping[str, Any], wall_seconds: float | None
    ) -> "BaselineResult":
        environment = read_environment(run)
        trained = [*environment["commits"], commit_of_code()]
        *earlier, commit, evaluation_commit = (each and each.rstrip("+") for each in trained)
        config = OmegaConf.create(read_text(run, "config.yaml"))
        precision = lightning_precision(str(config.precision), str(config.strategy.accelerator))
        return cls(
            baseline.name,
            baseline.fingerprint,
            settings_fingerprint(baseline),
            seed,
            time.strftime("%Y-%m-%d", time.gmtime()),
            commit,
            True if any(each and each.endswith("+") for each in trained) else None if None in trained else False,
            {key: environment.get(key) for key in HARDWARE} | {"precision": precision},
            {"python": environment["python"], **environment["versions"]},
            [each for each in read_overrides(run) if not each.startswith("output_dir=")],
            wall_seconds and round(wall_seconds, 1),
            scores,
            earlier_commits=[each for each in dict.fromkeys(earlier) if each not in (None, commit)],
            evaluation_commit=None if evaluation_commit == commit else evaluation_commit,
        )


def metric_values(scores: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of scores.json under the names that baselines use: METRIC, or b_to_a/METRIC for the direction b_to_a."""
    others = scores.get("directions", {}).items()
    return scores["metrics"] | {f"{direction}/{name}": each[name] for direction, each in others for name in each}


class BaselineResults:
    """The results that are recorded in a folder, and the results that the package contains."""

    def __init__(self, folder: Path = RECORDED_RESULTS) -> None:
        self.folder = folder
        self._settings: dict[str, str] = {}  # settings fingerprints by baseline fingerprint

    def for_baseline(self, baseline: Baseline) -> list[BaselineResult]:
        """Return the results that are not outdated, at most one for each seed of the baseline."""
        return [result for seed in dict.fromkeys(baseline.seeds) if (result := self.find(baseline, seed)) is not None]

    def find(self, baseline: Baseline, seed: int) -> BaselineResult | None:
        return next((each for each in self._read(baseline, seed) if not self._why_outdated(baseline, each)), None)

    def why_outdated(self, baseline: Baseline) -> str:
        """Return what changed since a result was recorded, or an empty text if no result is outdated."""
        reasons = [self._why_outdated(baseline, each) for seed in baseline.seeds for each in self._read(baseline, seed)]
        return next(filter(None, reasons), "")

    def record(self, result: BaselineResult) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / _file_name(result.baseline, result.seed)
            write_text_atomic(path, json.dumps(asdict(result), indent=2) + "\n")
        except OSError as error:
            raise UserError(
                "baseline.not_writable",
                f"{self.folder} cannot be written: {error.strerror}; give another --results FOLDER",
            ) from None
        return path

    def _why_outdated(self, baseline: Baseline, result: BaselineResult) -> str:
        if result.baseline_fingerprint != baseline.fingerprint:
            return "the baseline was changed after its results were recorded"
        if baseline.fingerprint not in self._settings:
            self._settings[baseline.fingerprint] = settings_fingerprint(baseline)
        is_current = result.settings_fingerprint == self._settings[baseline.fingerprint]
        return "" if is_current else f"experiment={baseline.experiment} was changed after its results were recorded"

    def _read(self, baseline: Baseline, seed: int) -> Iterator[BaselineResult]:
        for folder in dict.fromkeys((self.folder, RECORDED_RESULTS)):
            if (path := folder / _file_name(baseline.name, seed)).is_file():
                yield _read_result(path)


def _file_name(baseline: str, seed: int) -> str:
    return f"{baseline}-seed{seed}.json"


def _read_result(path: Path) -> BaselineResult:
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        if contents["schema"] > SCHEMA:
            raise UserError(
                "baseline.result_too_new",
                f"{path} was recorded by a newer stylegan_lab (schema {contents['schema']}); update stylegan_lab",
            )
        result = BaselineResult(**contents)
        _ = result.metrics
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            "baseline.result_unreadable",
            f"{path} is not a recorded result ({error}); delete it and reproduce the baseline again",
        ) from None
    return result
