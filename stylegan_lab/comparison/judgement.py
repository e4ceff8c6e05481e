"""A judgement: win rates from votes, with Wilson's intervals (1927), and strengths after Bradley and Terry (1952)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from stylegan_lab.comparison.columns import MARKS, Standing
from stylegan_lab.comparison.votes import Vote

Z = 1.959964  # of 95%
ROUNDS = 500


@dataclass(frozen=True)
class Rate:
    """Of `n` votes so many were won; a tie is half a win."""

    won: float
    n: int
    standing: Standing = "unranked"

    @property
    def mean(self) -> float:
        return self.won / self.n

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.won, self.n)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.mean:.2f} [{low:.2f}, {high:.2f}] {MARKS[self.standing]}".rstrip()

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {"rate": self.mean, "low": low, "high": high, "votes": self.n, "standing": self.standing}


@dataclass(frozen=True)
class Judgement:
    rates: Sequence[Rate | None]  # by row
    duels: Mapping[tuple[int, int], Rate]  # of the first against the second
    strengths: Sequence[float | None]
    judges: int
    counted: int
    others: int  # votes about runs that are not compared here, or are of one row

    def as_json(self) -> dict[str, Any]:
        duels = [{"row": one, "against": other, **rate.as_json()} for (one, other), rate in self.duels.items()]
        return {"judges": self.judges, "votes": self.counted, "votes_about_others": self.others, "duels": duels}


def judge(votes: Sequence[Vote], row_of: Mapping[str, int], rows: int) -> Judgement:
    """`row_of` says in which row a run is."""
    won = [[0.0] * rows for _ in range(rows)]
    counted = [vote for vote in votes if _counts(vote, row_of)]
    for vote in counted:
        one, other = row_of[vote.one], row_of[vote.other]
        won[one][other] += vote.worth
        won[other][one] += 1 - vote.worth
    duels = {
        (one, other): Rate(won[one][other], round(won[one][other] + won[other][one]))
        for one in range(rows)
        for other in range(rows)
        if won[one][other] + won[other][one]
    }
    rates = [_total([rate for (one, _), rate in duels.items() if one == row]) for row in range(rows)]
    judges = len({vote.judge for vote in counted})
    return Judgement(_ranked(rates, duels), duels, strengths(won), judges, len(counted), len(votes) - len(counted))


def wilson(won: float, n: int) -> tuple[float, float]:
    """Where the rate lies with 95%."""
    rate, square = won / n, Z * Z / n
    middle = (rate + square / 2) / (1 + square)
    reach = Z / (1 + square) * sqrt(rate * (1 - rate) / n + square / (4 * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def strengths(won: Sequence[Sequence[float]]) -> list[float | None]:
    """The share each would win against an equal of the average, by Hunter's iteration (2004); None: was never judged.
    Everyone who was judged is given half a win and half a loss, so that nobody is infinitely strong."""
    judged = [index for index in range(len(won)) if any(won[index]) or any(row[index] for row in won)]
    power = dict.fromkeys(judged, 1.0)
    for _ in range(ROUNDS):
        power = {
            one: (sum(won[one]) + 0.5)
            / (
                1 / (power[one] + 1)
                + sum((won[one][other] + won[other][one]) / (power[one] + power[other]) for other in judged)
            )
            for one in judged
        }
    return [power[index] / (power[index] + 1) if index in power else None for index in range(len(won))]


def _counts(vote: Vote, row_of: Mapping[str, int]) -> bool:
    return vote.one in row_of and vote.other in row_of and row_of[vote.one] != row_of[vote.other]


def _total(rates: Sequence[Rate]) -> Rate | None:
    return Rate(sum(rate.won for rate in rates), sum(rate.n for rate in rates)) if rates else None


def _ranked(rates: Sequence[Rate | None], duels: Mapping[tuple[int, int], Rate]) -> list[Rate | None]:
    """Who is told apart from the best: whose duels with it leave no doubt."""
    able = [index for index, rate in enumerate(rates) if rate]
    if not able:
        return list(rates)
    best = max(able, key=lambda index: rate.mean if (rate := rates[index]) else 0.0)

    def standing(index: int) -> Standing:
        if index == best:
            return "best"
        duel = duels.get((best, index))
        return "untested" if duel is None else "apart" if duel.interval[0] > 0.5 else "alike"

    return [Rate(rate.won, rate.n, standing(index)) if rate else None for index, rate in enumerate(rates)]
