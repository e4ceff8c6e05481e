"""Statistics over seeds and votes. scipy is not a dependency, so the few tests that are needed are implemented here."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import atan, comb, cos, pi, sqrt

MAX_PERMUTATIONS = 20_000  # the exact test is skipped above this
SIMPSON_STEPS = 2000
Z_95 = 1.959964  # two-sided 95% quantile of the normal distribution
BRADLEY_TERRY_ITERATIONS = 500


@dataclass(frozen=True)
class MeanAndStd:
    mean: float
    std: float | None  # unbiased; None for a single value
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if self.std is None else f"{self.mean:.4g} ± {self.std:.2g} ({self.n})"


def mean_and_std(values: Sequence[float]) -> MeanAndStd:
    n, average = len(values), mean(values)
    return MeanAndStd(average, sqrt(sum((value - average) ** 2 for value in values) / (n - 1)) if n > 1 else None, n)


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1. Equal values share the mean of their ranks."""
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + bisect_right(ordered, value) + 1) / 2 for value in values]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def count_states(states: Sequence[str]) -> str:
    """Return `finished` if all states are finished, or else a count of each state such as `2 finished, 1 interrupted`."""
    counts = Counter(states)
    return states[0] if len(counts) == 1 else ", ".join(f"{count} {state}" for state, count in counts.items())


def welch_t_test(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The two-sided p-value for equal means under unequal variances (Welch, Biometrika 1947). None if a sample has fewer
    than two values."""
    if min(len(first), len(second)) < 2:
        return None
    difference = abs(mean(first) - mean(second))
    error1, error2 = (mean_and_std(values).std ** 2 / len(values) for values in (first, second))  # type: ignore[operator]
    if error1 + error2 == 0:
        return 1.0 if difference == 0 else 0.0
    # Welch-Satterthwaite equation
    degrees = (error1 + error2) ** 2 / (error1**2 / (len(first) - 1) + error2**2 / (len(second) - 1))
    return t_tail_probability(difference / sqrt(error1 + error2), degrees)


def permutation_test(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The exact two-sided p-value: the share of all splits of the pooled values whose means differ at least as much as the
    means of the two samples (Fisher, "The Design of Experiments", 1935)."""
    pooled = [*first, *second]
    if not first or not second or comb(len(pooled), len(first)) > MAX_PERMUTATIONS:
        return None
    total, n, m = sum(pooled), len(first), len(second)
    observed = abs(mean(first) - mean(second))
    sums = (sum(pooled[index] for index in chosen) for chosen in combinations(range(n + m), n))
    differences = [abs(part / n - (total - part) / m) for part in sums]
    return sum(difference >= observed * (1 - 1e-9) - 1e-15 for difference in differences) / len(differences)


def holm_bonferroni(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values for the number of tests (Holm, Scandinavian Journal of Statistics 1979). None, where no test was
    made, stays None."""
    order = sorted((p_value, index) for index, p_value in enumerate(p_values) if p_value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p_value, index) in enumerate(order):
        largest = max(largest, min(1.0, p_value * (len(order) - rank)))
        adjusted[index] = largest
    return adjusted


def t_tail_probability(t: float, degrees: float) -> float:
    """The probability of both tails of Student's t distribution. With t = sqrt(degrees) tan(angle), the density over the
    angle is proportional to cos(angle)^(degrees - 1)."""
    angle = atan(t / sqrt(degrees))
    return _integral(angle, degrees - 1) / _integral(0.0, degrees - 1)


def wilson_interval(wins: float, n: int) -> tuple[float, float]:
    """The 95% score interval of the proportion `wins / n` (Wilson, JASA 1927)."""
    rate, z2_n = wins / n, Z_95 * Z_95 / n
    center = (rate + z2_n / 2) / (1 + z2_n)
    margin = Z_95 / (1 + z2_n) * sqrt(rate * (1 - rate) / n + z2_n / (4 * n))
    return max(0.0, center - margin), min(1.0, center + margin)


def bradley_terry(wins: Sequence[Sequence[float]]) -> list[float | None]:
    """The strength of each player (Bradley and Terry, Biometrika 1952), given as the probability of winning against a
    reference player of strength 1. Computed by the MM update of Hunter (Annals of Statistics 2004, Eq. 3). `wins[i][j]`
    counts wins of i over j. Each player also gets half a win and half a loss against the reference player, which keeps
    strengths finite. None: the player was in no comparison."""
    compared = [index for index in range(len(wins)) if any(wins[index]) or any(row[index] for row in wins)]
    strength = dict.fromkeys(compared, 1.0)
    for _ in range(BRADLEY_TERRY_ITERATIONS):
        strength = {
            i: (sum(wins[i]) + 0.5)
            / (1 / (strength[i] + 1) + sum((wins[i][j] + wins[j][i]) / (strength[i] + strength[j]) for j in compared))
            for i in compared
        }
    return [strength[index] / (strength[index] + 1) if index in strength else None for index in range(len(wins))]


def _integral(start: float, power: float) -> float:
    """Simpson's rule for cos(angle)^power from `start` to pi/2. The substitution angle = pi/2 - u^2 keeps it accurate for small
    powers, whose integrand is steep at pi/2."""
    width = sqrt(pi / 2 - start)
    grid = (width * i / SIMPSON_STEPS for i in range(SIMPSON_STEPS + 1))
    values = [2 * u * max(0.0, cos(pi / 2 - u * u)) ** power for u in grid]
    return width / SIMPSON_STEPS / 3 * (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2]))
