"""A baseline: what an experiment is to score, by whose word, under which protocol, and how much worse still counts."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf

from stylegan_lab.better import Better
from stylegan_lab.choice import choose, nearest
from stylegan_lab.conf_dir import BASELINES, CONF
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.signature import check_arguments, check_value

STANDINGS = {
    "authors": "read in the authors' repository",
    "retrained": "read in the table of another implementation",
    "cited": "cited from the paper without its text at hand; check it there before quoting it",
    "recorded": "recorded runs of this project from before the baseline was written",
    "bar": "reached without any model, measured before anything was trained",
}
COSTS = {"gpu_hours": "GPU hours", "cpu_minutes": "CPU minutes"}


@dataclass(frozen=True)
class Number:
    expected: float
    tolerance: float
    better: Better

    def holds(self, here: float) -> bool:
        """No worse than expected by more than the tolerance."""
        return self.better_by(here) >= -self.tolerance

    def better_by(self, here: float) -> float:
        return here - self.expected if self.better == "higher" else self.expected - here


@dataclass(frozen=True)
class Baseline:
    name: str
    title: str
    experiment: str
    source: str
    standing: Literal["authors", "retrained", "cited", "recorded", "bar"]
    protocol: str
    cost: Mapping[str, float]  # of a seed
    numbers: Mapping[str, Number]  # by metric, of another direction as b_to_a/METRIC; none where a paper gives none
    overrides: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    split: Literal["test", "val", "train"] = "test"  # train: of a generator
    checkpoint: str = "last"
    raw: bool = False
    n: int | None = None  # pictures measured, of a generator: made; None: as many as the split has
    needs: list[str] = field(default_factory=list)  # what no checkout brings along
    lacks: str = ""  # of its protocol, what cannot be done yet: a sentence; until then nothing it scores counts

    @property
    def fingerprint(self) -> str:
        """Of all that a result is judged by. What was recorded before that was changed does not count: else a tolerance
        could be chosen after the run it judges."""
        told = asdict(self)
        for words in ("title", "source", "standing", "protocol", "cost", "needs", "lacks"):
            del told[words]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def told_cost(self) -> str:
        ((unit, amount),) = self.cost.items()
        return f"{amount:g} {COSTS[unit]}{f' x {len(self.seeds)} seeds' if len(self.seeds) > 1 else ''}"

    def training(self, seed: int) -> list[str]:
        return [f"experiment={self.experiment}", *self.overrides, f"seed={seed}"]


def read_baselines(names: Iterable[str] = (), folder: Path = BASELINES) -> list[Baseline]:
    """Those of these names, or all there are."""
    there = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return [read_baseline(choose("baseline", name, there)) for name in list(names) or there]


def read_baseline(path: Path) -> Baseline:
    where = f"baselines/{path.name}"
    try:
        said: Any = OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:  # of a parser for each kind of damage
        raise Mistake(f"{where} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(said, dict):
        raise Mistake(f"{where} is no table of keys and values")
    given = {"name": path.stem} | {str(key): value for key, value in said.items()}
    check_arguments(where, Baseline, given, complete=True)
    experiments = sorted(each.stem for each in (CONF / "experiment").glob("*.yaml"))
    if given["experiment"] not in experiments:
        raise Mistake(
            f"{where}: there is no experiment={given['experiment']}{nearest(given['experiment'], experiments)}"
        )
    if not given.get("seeds", [0]):
        raise Mistake(f"{where}: seeds is empty; give those to be trained, such as [0, 1, 2]")
    _check_table(f"{where}.cost", given["cost"], f"one of {', '.join(COSTS)}")
    if len(given["cost"]) != 1:
        raise Mistake(f"{where}.cost: one of {', '.join(COSTS)} is expected")
    for unit, amount in given["cost"].items():
        choose(f"{where}.cost", unit, COSTS)
        check_value(f"{where}.cost.{unit}", amount, float)
    _check_table(
        f"{where}.numbers", given["numbers"], "a metric, such as ssim: {expected: 0.5, tolerance: 0.1, better: higher}"
    )
    numbers = {name: _number(f"{where}.numbers.{name}", each) for name, each in given["numbers"].items()}
    return Baseline(**{**given, "numbers": numbers})


def _number(where: str, said: Any) -> Number:
    _check_table(where, said, "expected, tolerance and better")
    check_arguments(where, Number, said, complete=True)
    at_least(f"{where}.tolerance", said["tolerance"], 0)
    return Number(**said)


def _check_table(where: str, said: Any, wanted: str) -> None:
    if not isinstance(said, dict):
        raise Mistake(f"{where} is no table; it takes {wanted}")
