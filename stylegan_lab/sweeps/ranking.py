"""Which points are best, and which settings made the difference."""

from collections.abc import Mapping, Sequence
from typing import Any

from stylegan_lab.better import Better
from stylegan_lab.sweeps.spread import Group, mean

BINS = 5
FEWEST = 4  # points, below which nothing is said of importance


def best(groups: Sequence[Group], directions: Mapping[str, Better]) -> list[Group]:
    """Those that no other beats in all scores; of one score, the first of the best. Only points all of whose trials are done."""
    able = [group for group in groups if group.is_whole and all(name in group.scores for name in directions)]
    costs = {id(group): _costs(group, directions) for group in able}
    front = [group for group in able if not any(_beats(costs[id(other)], costs[id(group)]) for other in able)]
    return front if len(directions) > 1 else front[:1]


def importance(groups: Sequence[Group], score: str) -> dict[str, float]:
    """How much of the variance of the points' ranks each setting explains alone: epsilon squared of Kruskal and Wallis, which
    corrects for chance. Numbers of many values are cut into up to BINS quantiles. What settings do only together is not seen."""
    scored = [group for group in groups if score in group.scores]
    if len(scored) < FEWEST:
        return {}
    ranks = _ranks([group.scores[score].mean for group in scored])
    settings = [key for key in scored[0].trials[0].point if all(key in group.trials[0].point for group in scored)]
    shares = {key: _explained([group.trials[0].point[key] for group in scored], ranks) for key in settings}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _costs(group: Group, directions: Mapping[str, Better]) -> list[float]:
    return [group.scores[name].mean * (1 if better == "lower" else -1) for name, better in directions.items()]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)


def _explained(values: Sequence[str], ranks: Sequence[float]) -> float:
    kinds = _kinds(values)
    n, of_each, total = len(kinds), set(kinds), _variation(ranks)
    if not 1 < len(of_each) < n - 1 or total == 0:
        return 0.0  # nothing to tell apart, or as many kinds as points: then chance explains all
    within = sum(
        _variation([rank for rank, kind in zip(ranks, kinds, strict=True) if kind == each]) for each in of_each
    )
    return max(0.0, 1 - within / total * (n - 1) / (n - len(of_each)))


def _kinds(values: Sequence[str]) -> list[Any]:
    """Names as they are; numbers in quantiles, once there are more than can be told apart."""
    bins = min(BINS, max(2, len(values) // 4))
    if len(set(values)) <= max(bins, len(values) // 2):
        return list(values)
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return list(values)
    return [int((rank - 0.5) * bins / len(numbers)) for rank in _ranks(numbers)]


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of theirs."""
    ordered = sorted(values)
    first = {value: index for index, value in reversed(list(enumerate(ordered, 1)))}
    return [first[value] + (ordered.count(value) - 1) / 2 for value in values]


def _variation(values: Sequence[float]) -> float:
    middle = mean(values)
    return sum((value - middle) ** 2 for value in values)
