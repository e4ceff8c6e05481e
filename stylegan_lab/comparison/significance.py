"""Whether two means are told apart: Welch's t test (1947), the exact permutation test (Fisher, 1935), Holm's correction (1979)."""

from collections.abc import Sequence
from itertools import combinations
from math import atan, comb, cos, pi, sqrt

from stylegan_lab.sweeps.spread import mean, spread

MOST = 20_000  # ways to divide the seeds, beyond which the exact test is left out
STEPS = 2000


def welch(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The chance of means at least so far apart if they were alike; two-sided. None: fewer than two values on a side."""
    if min(len(one), len(other)) < 2:
        return None
    apart = abs(mean(one) - mean(other))
    first, second = (spread(values).deviation ** 2 / len(values) for values in (one, other))  # type: ignore[operator]
    if first + second == 0:
        return 1.0 if apart == 0 else 0.0
    freedom = (first + second) ** 2 / (first**2 / (len(one) - 1) + second**2 / (len(other) - 1))
    return beyond(apart / sqrt(first + second), freedom)


def permutation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The share of all ways to divide the values whose means lie at least so far apart; two-sided and exact."""
    together = [*one, *other]
    if not one or not other or comb(len(together), len(one)) > MOST:
        return None
    total, n, m = sum(together), len(one), len(other)
    apart = abs(mean(one) - mean(other))
    sums = (sum(together[index] for index in chosen) for chosen in combinations(range(n + m), n))
    gaps = [abs(part / n - (total - part) / m) for part in sums]
    return sum(gap >= apart * (1 - 1e-9) - 1e-15 for gap in gaps) / len(gaps)


def holm(chances: Sequence[float | None]) -> list[float | None]:
    """Corrected for how many were looked at."""
    order = sorted((chance, index) for index, chance in enumerate(chances) if chance is not None)
    corrected: list[float | None] = [None] * len(chances)
    largest = 0.0
    for place, (chance, index) in enumerate(order):
        largest = max(largest, min(1.0, chance * (len(order) - place)))
        corrected[index] = largest
    return corrected


def beyond(t: float, freedom: float) -> float:
    """Student's t, both tails: with t = sqrt(freedom) tan(angle), its density goes as cos(angle)^(freedom - 1)."""
    angle = atan(t / sqrt(freedom))
    return _integral(angle, freedom - 1) / _integral(0.0, freedom - 1)


def _integral(start: float, power: float) -> float:
    """Of cos(angle)^power up to a right angle. Squared steps towards that end keep Simpson's rule exact where powers are small."""
    width = sqrt(pi / 2 - start)
    values = [2 * u * max(0.0, cos(pi / 2 - u * u)) ** power for u in (width * i / STEPS for i in range(STEPS + 1))]
    return width / STEPS / 3 * (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2]))
