"""Preferences: the win rate of each row in a preference study, with Wilson intervals and Bradley-Terry strengths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from stylegan_lab.reporting.preference_study.votes import Vote
from stylegan_lab.reporting.score_columns import RANKING_MARKS, Ranking
from stylegan_lab.reporting.statistics import bradley_terry, wilson_interval


@dataclass(frozen=True)
class WinRate:
    """Wins among a number of votes; a tie is half a win."""

    wins: float
    votes: int
    ranking: Ranking = "unranked"

    @property
    def win_rate(self) -> float:
        return self.wins / self.votes

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.wins, self.votes)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.win_rate:.2f} [{low:.2f}, {high:.2f}] {RANKING_MARKS[self.ranking]}".rstrip()

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {"win_rate": self.win_rate, "low": low, "high": high, "votes": self.votes, "ranking": self.ranking}


@dataclass(frozen=True)
class Preferences:
    win_rates: Sequence[WinRate | None]  # by row
    pairs: Mapping[tuple[int, int], WinRate]  # of the first row against the second
    strengths: Sequence[float | None]
    num_voters: int
    num_votes: int
    num_ignored: int  # votes about runs that are not compared here, or about two runs of one row

    def row_as_json(self, row: int) -> dict[str, Any] | None:
        win_rate = self.win_rates[row]
        return None if win_rate is None else {**win_rate.as_json(), "strength": self.strengths[row]}

    def as_json(self) -> dict[str, Any]:
        pairs = [{"row": row, "against": other, **rate.as_json()} for (row, other), rate in self.pairs.items()]
        return {"voters": self.num_voters, "votes": self.num_votes, "ignored_votes": self.num_ignored, "pairs": pairs}


def compute_preferences(votes: Sequence[Vote], row_of: Mapping[str, int], num_rows: int) -> Preferences:
    """Compute the win rate and strength of each row of runs. `row_of` maps the id of a run to its row; votes about other runs,
    or about two runs of one row, are ignored."""
    wins = [[0.0] * num_rows for _ in range(num_rows)]
    known = [vote for vote in votes if vote.first in row_of and vote.second in row_of]
    counted = [vote for vote in known if row_of[vote.first] != row_of[vote.second]]
    for vote in counted:
        first, second = row_of[vote.first], row_of[vote.second]
        wins[first][second] += vote.score
        wins[second][first] += 1 - vote.score
    pairs = {
        (row, other): WinRate(wins[row][other], round(wins[row][other] + wins[other][row]))
        for row, other in product(range(num_rows), repeat=2)
        if wins[row][other] + wins[other][row]
    }
    win_rates = [_total([rate for (first, _), rate in pairs.items() if first == row]) for row in range(num_rows)]
    num_voters, num_ignored = len({vote.voter for vote in counted}), len(votes) - len(counted)
    return Preferences(_rank(win_rates, pairs), pairs, bradley_terry(wins), num_voters, len(counted), num_ignored)


def _total(rates: Sequence[WinRate]) -> WinRate | None:
    return WinRate(sum(rate.wins for rate in rates), sum(rate.votes for rate in rates)) if rates else None


def _rank(win_rates: Sequence[WinRate | None], pairs: Mapping[tuple[int, int], WinRate]) -> list[WinRate | None]:
    """Rank the rows. A row is worse than the best row if the best row's win rate against it has an interval above one half."""
    candidates = [index for index, rate in enumerate(win_rates) if rate]
    if not candidates:
        return list(win_rates)
    best = max(candidates, key=lambda index: each.win_rate if (each := win_rates[index]) else 0.0)

    def ranking(index: int) -> Ranking:
        if index == best:
            return "best"
        pair = pairs.get((best, index))
        return "untested" if pair is None else "worse" if pair.interval[0] > 0.5 else "not_significant"

    return [replace(each, ranking=ranking(index)) if each else None for index, each in enumerate(win_rates)]
