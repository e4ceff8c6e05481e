"""A result: what one training of a baseline scored, and of which code, hardware and settings; a JSON file each."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stylegan_lab.conf_dir import BASELINES
from stylegan_lab.hardware import precision
from stylegan_lab.mistake import Mistake
from stylegan_lab.reproduction.baseline import Baseline
from stylegan_lab.runs import Run
from stylegan_lab.whole import write_text

SCHEMA = 1
RECORDED = BASELINES / "results"


@dataclass(frozen=True)
class Result:
    baseline: str
    fingerprint: str  # the baseline's, when this was recorded
    seed: int
    date: str
    commit: str | None  # of the code that trained
    changed: bool | None  # whether that code was other than its commit
    hardware: Mapping[str, Any]
    versions: Mapping[str, Any]
    overrides: list[str]
    wall_seconds: float | None  # of the training; None: a run of before
    scores: Mapping[
        str, Any
    ]  # as in scores.json: iteration, EMA, split, n, metrics and their protocols, without a model
    schema: int = SCHEMA

    @property
    def numbers(self) -> Mapping[str, float]:
        """As baselines name them."""
        return numbers_of(self.scores)

    @classmethod
    def of(cls, baseline: Baseline, seed: int, run: Run, scores: Mapping[str, Any], seconds: float | None) -> "Result":
        environment = json.loads(run.read("environment.json"))
        commit = environment["commit"]
        config = OmegaConf.create(run.read("config.yaml"))
        numbers = precision(str(config.precision), str(config.strategy.accelerator))
        hardware = {key: environment.get(key) for key in HARDWARE} | {"precision": numbers}
        return cls(
            baseline.name,
            baseline.fingerprint,
            seed,
            time.strftime("%Y-%m-%d", time.gmtime()),
            commit and commit.rstrip("+"),
            None if commit is None else commit.endswith("+"),
            hardware,
            {"python": environment["python"], **environment["versions"]},
            [each for each in run.read("overrides.txt").splitlines() if not each.startswith("output_dir=")],
            seconds and round(seconds, 1),
            scores,
        )


def numbers_of(scores: Mapping[str, Any]) -> dict[str, float]:
    others = scores.get("directions", {}).items()
    return scores["metrics"] | {f"{way}/{name}": value for way, each in others for name, value in each.items()}


HARDWARE = ("platform", "processor", "cpu_count", "threads", "gpus", "cuda", "world_size")


class Results:
    """Those recorded in a folder, and those that came with the package."""

    def __init__(self, folder: Path = RECORDED) -> None:
        self.folder = folder

    def of(self, baseline: Baseline) -> list[Result]:
        """One for each seed it asks for, of those judged by what it says today."""
        found = {seed: self.find(baseline, seed) for seed in baseline.seeds}
        return [result for result in found.values() if result is not None]

    def find(self, baseline: Baseline, seed: int) -> Result | None:
        return next((each for each in self._read(baseline, seed) if each.fingerprint == baseline.fingerprint), None)

    def outdated(self, baseline: Baseline) -> bool:
        """Whether something was recorded before the baseline was changed."""
        return any(
            each.fingerprint != baseline.fingerprint for seed in baseline.seeds for each in self._read(baseline, seed)
        )

    def record(self, result: Result) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / _file(result.baseline, result.seed)
            write_text(path, json.dumps(asdict(result), indent=2) + "\n")
        except OSError as error:
            raise Mistake(f"{self.folder} cannot be written: {error.strerror}; give --results FOLDER") from None
        return path

    def _read(self, baseline: Baseline, seed: int) -> Iterator[Result]:
        for folder in dict.fromkeys((self.folder, RECORDED)):
            if (path := folder / _file(baseline.name, seed)).is_file():
                yield _read(path)


def _file(baseline: str, seed: int) -> str:
    return f"{baseline}-seed{seed}.json"


def _read(path: Path) -> Result:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["schema"] > SCHEMA:
            raise Mistake(f"{path} was recorded by a newer stylegan_lab (schema {said['schema']})")
        result = Result(**said)
        _ = result.numbers
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Mistake(f"{path} is no recorded result: {error}") from None
    return result
