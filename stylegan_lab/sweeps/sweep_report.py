"""The report of a sweep: trials grouped over seeds, the best points, parameter importance, the printed table and sweep.json."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_lab.console import format_table
from stylegan_lab.evaluation.metric_direction import ARROWS, Direction
from stylegan_lab.reporting.statistics import MeanAndStd, count_states, mean, mean_and_std, ranks
from stylegan_lab.sweeps.search_space import Point, override_key
from stylegan_lab.sweeps.trial import STATES, Trial

MAX_ROWS = 40  # of the printed table; the page shows all
MAX_QUANTILES = 5
MIN_POINTS = 4  # for parameter importance
TRIAL_FIELDS = ("number", "point", "seed", "state", "reason", "scores", "iteration")  # of sweep.json


@dataclass(frozen=True)
class TrialGroup:
    """The trials of one point, one for each seed, with the statistics of the complete trials."""

    trials: Sequence[Trial]
    scores: Mapping[str, MeanAndStd]

    @property
    def point(self) -> Point:
        return self.trials[0].point

    @property
    def trial_numbers(self) -> str:
        first, last = self.trials[0].number, self.trials[-1].number
        return str(first) if len(self.trials) == 1 else f"{first}-{last}"

    @property
    def state(self) -> str:
        return count_states(sorted((trial.state for trial in self.trials), key=STATES.index))

    @property
    def is_complete(self) -> bool:
        return all(trial.state == "complete" for trial in self.trials)

    def as_json(self) -> dict[str, Any]:
        return {
            "point": self.point,
            "trials": [trial.number for trial in self.trials],
            "scores": {name: vars(statistics) for name, statistics in self.scores.items()},
        }


@dataclass(frozen=True)
class SweepReport:
    """The results of a sweep, from the trials of this and all earlier commands."""

    sweep: Path
    trials: Sequence[Trial]
    directions: Mapping[str, Direction]
    sampler: str

    @property
    def groups(self) -> list[TrialGroup]:
        return group_trials(self.trials, self.directions)

    @property
    def best(self) -> list[TrialGroup]:
        return best_groups(self.groups, self.directions)

    @property
    def importance(self) -> dict[str, dict[str, float]]:
        return {name: parameter_importance(self.groups, name) for name in self.directions}

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "sampler": self.sampler,
            "objectives": dict(self.directions),
            "states": {state: count for state in STATES if (count := sum(each.state == state for each in self.trials))},
            "trials": [
                {name: getattr(trial, name) for name in TRIAL_FIELDS}
                | {"seconds": round(trial.seconds, 1), "overrides": trial.overrides}
                for trial in self.trials
            ],
            "groups": [group.as_json() for group in self.groups],
            "best": [{**group.as_json(), "command": reproduce_command(group)} for group in self.best],
            "importance": self.importance,
        }

    def lines(self) -> list[str]:
        """The report for the terminal."""
        groups, best = self.groups, self.best
        lines = _table(groups, best, self.directions)
        for name, shares in self.importance.items():
            if shares:
                listed = ", ".join(f"{key} {share:.2f}" for key, share in shares.items())
                explained = f"share of the variance of the ranks of {name}, {len(groups)} points"
                lines.append(f"importance {listed}  ({explained})")
        label = "best" if len(self.directions) == 1 else "pareto"
        lines += [f"{label:11}#{group.trial_numbers}: {reproduce_command(group)}" for group in best[:5]]
        return [*lines, f"page       {self.sweep / 'sweep.html'}", f"sweep      {self.sweep}"]


def group_trials(trials: Iterable[Trial], objectives: Iterable[str] = ()) -> list[TrialGroup]:
    """Group the trials by point. The statistics cover the validation and test metrics, and the objectives."""
    points: dict[tuple[tuple[str, str], ...], list[Trial]] = {}
    for trial in trials:
        points.setdefault(tuple(trial.point.items()), []).append(trial)
    return [TrialGroup(group, _statistics(group, set(objectives))) for group in points.values()]


def best_groups(groups: Sequence[TrialGroup], directions: Mapping[str, Direction]) -> list[TrialGroup]:
    """Return the Pareto front if there are several objectives, or the best point if there is one. Only points whose seeds
    are all complete are considered."""
    complete = [group for group in groups if group.is_complete and all(name in group.scores for name in directions)]
    costs = {id(group): _costs(group, directions) for group in complete}
    front = [group for group in complete if not any(_dominates(costs[id(each)], costs[id(group)]) for each in complete)]
    return front if len(directions) > 1 else front[:1]


def sort_groups(groups: Sequence[TrialGroup], directions: Mapping[str, Direction]) -> list[TrialGroup]:
    """Sort points by the first objective, with the best point first. Points without a score come last."""
    name, direction = next(iter(directions.items()))
    sign = 1 if direction == "lower" else -1
    return sorted(groups, key=lambda group: sign * group.scores[name].mean if name in group.scores else float("inf"))


def parameter_importance(groups: Sequence[TrialGroup], score: str) -> dict[str, float]:
    """The share of the variance of the points' ranks by `score` that each parameter explains on its own, without
    interactions. It is computed as epsilon squared of the Kruskal-Wallis test, which corrects for chance. A numeric
    parameter with many values is binned by up to MAX_QUANTILES quantiles."""
    scored = [group for group in groups if score in group.scores]
    if len(scored) < MIN_POINTS:
        return {}
    ranked = ranks([group.scores[score].mean for group in scored])
    keys = [key for key in scored[0].point if all(key in group.point for group in scored)]
    shares = {key: _epsilon_squared([group.point[key] for group in scored], ranked) for key in keys}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def reproduce_command(group: TrialGroup) -> str:
    """The command that runs the point again with all of its seeds."""
    trial = group.trials[0]
    if len(group.trials) == 1:
        return f"stylegan-lab train {shlex.join(trial.overrides)}"
    overrides = [override for override in trial.overrides if override_key(override) != "seed"]
    seeds = ",".join(str(each.seed) for each in group.trials)
    return f"stylegan-lab train -m {shlex.join(overrides)} seed={seeds}"


def _statistics(trials: Sequence[Trial], objectives: set[str]) -> dict[str, MeanAndStd]:
    scores = [trial.scores for trial in trials if trial.state == "complete"]
    return {
        name: mean_and_std([each[name] for each in scores])
        for name in (scores[0] if scores else ())
        if (name in objectives or name.startswith(("val/", "test/"))) and all(name in each for each in scores)
    }


def _costs(group: TrialGroup, directions: Mapping[str, Direction]) -> list[float]:
    return [group.scores[name].mean * (1 if each == "lower" else -1) for name, each in directions.items()]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)


def _epsilon_squared(values: Sequence[str], ranks: Sequence[float]) -> float:
    levels = _levels(values)
    n, distinct, total = len(levels), set(levels), _sum_of_squares(ranks)
    if not 1 < len(distinct) < n - 1 or total == 0:
        return 0.0  # a single level, or nearly as many levels as points: chance explains everything
    within = sum(
        _sum_of_squares([rank for rank, level in zip(ranks, levels, strict=True) if level == each]) for each in distinct
    )
    return max(0.0, 1 - within / total * (n - 1) / (n - len(distinct)))


def _levels(values: Sequence[str]) -> list[Any]:
    """Return the values themselves, or their quantiles if they are numbers with too many distinct values."""
    quantiles = min(MAX_QUANTILES, max(2, len(values) // 4))
    if len(set(values)) <= max(quantiles, len(values) // 2):
        return list(values)
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return list(values)
    return [int((rank - 0.5) * quantiles / len(numbers)) for rank in ranks(numbers)]


def _sum_of_squares(values: Sequence[float]) -> float:
    """The sum of squared deviations from the mean."""
    middle = mean(values)
    return sum((value - middle) ** 2 for value in values)


def _table(groups: Sequence[TrialGroup], best: Sequence[TrialGroup], directions: Mapping[str, Direction]) -> list[str]:
    """Return one line for each point, sorted by the first objective, with the mean and standard deviation over the point's
    seeds."""
    scored = dict.fromkeys(name for group in groups for name in group.scores)
    others = [name for name in scored if name not in directions]
    names = [*directions, *others[: max(0, 4 - len(directions))]]  # others up to four columns in total
    heads = [f"{name} {ARROWS[directions[name]]}" if name in directions else name for name in names]
    rows = [["", "#", "trial", "state", *heads]]
    for group in sort_groups(groups, directions)[:MAX_ROWS]:
        star = "*" if any(group is each or group.trials == each.trials for each in best) else ""
        cells = [str(group.scores[name]) if name in group.scores else "" for name in names]
        label = Trial(0, group.point, None, [], Path()).label()
        rows.append([star, group.trial_numbers, label, group.state, *cells])
    return format_table(rows) + ([f"and {len(groups) - MAX_ROWS} more"] if len(groups) > MAX_ROWS else [])
