"""A result: what one training of a baseline scored, and of which code, hardware and settings; a JSON file each."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stylegan_lab.conf_dir import BASELINES
from stylegan_lab.environment import commit_of_code
from stylegan_lab.hardware import precision
from stylegan_lab.mistake import Mistake
from stylegan_lab.reproduction.baseline import Baseline
from stylegan_lab.reproduction.settings import settings_print
from stylegan_lab.runs import Run
from stylegan_lab.whole import write_text

SCHEMA = 2
RECORDED = BASELINES / "results"


@dataclass(frozen=True)
class Result:
    baseline: str
    fingerprint: str  # the baseline's, when this was recorded
    seed: int
    date: str
    commit: str | None  # of the code that trained, in its last sitting
    changed: bool | None  # whether the code of any sitting, or what scored it, was other than its commit
    hardware: Mapping[str, Any]
    versions: Mapping[str, Any]
    overrides: list[str]
    wall_seconds: float | None  # of the training; None: a run of before
    scores: Mapping[
        str, Any
    ]  # as in scores.json: iteration, EMA, split, n, metrics and their protocols, without a model
    schema: int = SCHEMA
    settings: str | None = None  # the print of what the baseline asked for then; None: a result of before
    earlier: list[str] = field(default_factory=list)  # other commits, of sittings before the last
    scored_by: str | None = None  # the commit that scored it, where it is another

    @property
    def numbers(self) -> Mapping[str, float]:
        """As baselines name them."""
        return numbers_of(self.scores)

    @classmethod
    def of(cls, baseline: Baseline, seed: int, run: Run, scores: Mapping[str, Any], seconds: float | None) -> "Result":
        environment = json.loads(run.read("environment.json"))
        sittings, scorer = run.commits(), commit_of_code()
        clean = [each and each.rstrip("+") for each in sittings]
        commit, by = clean[-1], scorer and scorer.rstrip("+")
        config = OmegaConf.create(run.read("config.yaml"))
        numbers = precision(str(config.precision), str(config.strategy.accelerator))
        hardware = {key: environment.get(key) for key in HARDWARE} | {"precision": numbers}
        return cls(
            baseline.name,
            baseline.fingerprint,
            seed,
            time.strftime("%Y-%m-%d", time.gmtime()),
            commit,
            _any_changed([*sittings, scorer]),
            hardware,
            {"python": environment["python"], **environment["versions"]},
            [each for each in run.read("overrides.txt").splitlines() if not each.startswith("output_dir=")],
            seconds and round(seconds, 1),
            scores,
            settings=settings_print(baseline),
            earlier=[each for each in dict.fromkeys(clean[:-1]) if each not in (None, commit)],
            scored_by=None if by == commit else by,
        )


def _any_changed(commits: Sequence[str | None]) -> bool | None:
    """None: of some it is not known, and the others are as committed."""
    if any(each and each.endswith("+") for each in commits):
        return True
    return None if None in commits else False


def numbers_of(scores: Mapping[str, Any]) -> dict[str, float]:
    others = scores.get("directions", {}).items()
    return scores["metrics"] | {f"{way}/{name}": value for way, each in others for name, value in each.items()}


HARDWARE = ("platform", "processor", "cpu_count", "threads", "gpus", "cuda", "world_size")


class Results:
    """Those recorded in a folder, and those that came with the package."""

    def __init__(self, folder: Path = RECORDED) -> None:
        self.folder = folder
        self._prints: dict[str, str] = {}  # of today's settings, by baseline

    def of(self, baseline: Baseline) -> list[Result]:
        """One for each seed it asks for, of those judged by what it says today."""
        found = {seed: self.find(baseline, seed) for seed in baseline.seeds}
        return [result for result in found.values() if result is not None]

    def find(self, baseline: Baseline, seed: int) -> Result | None:
        return next((each for each in self._read(baseline, seed) if not self._why_outdated(baseline, each)), None)

    def outdated(self, baseline: Baseline) -> str:
        """What was changed after a result was recorded; nothing if all count."""
        told = [self._why_outdated(baseline, each) for seed in baseline.seeds for each in self._read(baseline, seed)]
        return next(filter(None, told), "")

    def _why_outdated(self, baseline: Baseline, result: Result) -> str:
        if result.fingerprint != baseline.fingerprint:
            return "it was changed after its results were recorded"
        if result.settings is None:
            return ""
        if baseline.fingerprint not in self._prints:
            self._prints[baseline.fingerprint] = settings_print(baseline)
        same = result.settings == self._prints[baseline.fingerprint]
        return "" if same else f"experiment={baseline.experiment} was changed after its results were recorded"

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
