"""Mean and spread over seeds: what a setting scores, and how much of it is luck."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from stylegan_lab.sweeps.trial import Trial


@dataclass(frozen=True)
class Spread:
    mean: float
    deviation: float | None  # of one run, unbiased; None of a single one
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if self.deviation is None else f"{self.mean:.4g} ± {self.deviation:.2g} ({self.n})"


@dataclass(frozen=True)
class Group:
    """The trials of one point, over its seeds."""

    trials: Sequence[Trial]
    scores: Mapping[str, Spread]  # of those that are done

    @property
    def is_whole(self) -> bool:
        return all(trial.state == "done" for trial in self.trials)

    def as_json(self) -> dict[str, Any]:
        return {
            "point": self.trials[0].point,
            "trials": [trial.number for trial in self.trials],
            "scores": {name: vars(spread) for name, spread in self.scores.items()},
        }


def grouped(trials: Iterable[Trial], asked: Iterable[str] = ()) -> list[Group]:
    """Trials by point; of what they recorded, scores: what was measured on held-out pictures, and what is `asked` for."""
    points: dict[tuple[tuple[str, str], ...], list[Trial]] = {}
    for trial in trials:
        points.setdefault(tuple(trial.point.items()), []).append(trial)
    asked = set(asked)
    return [
        Group(each, _spreads([trial for trial in each if trial.state == "done"], asked)) for each in points.values()
    ]


def spread(values: Sequence[float]) -> Spread:
    middle = mean(values)
    if len(values) < 2:
        return Spread(middle, None, len(values))
    return Spread(middle, sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1)), len(values))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _spreads(trials: Sequence[Trial], asked: set[str]) -> dict[str, Spread]:
    if not trials:
        return {}
    names = [
        name
        for name in trials[0].scores
        if (name in asked or name.startswith(("val/", "test/"))) and all(name in trial.scores for trial in trials)
    ]
    return {name: spread([trial.scores[name] for trial in trials]) for name in names}
