"""A column of a comparison: one score over all rows, its best row, and a test of each other row against the best."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Any, Literal

from stylegan_lab.evaluation.metric_direction import ARROWS, Direction
from stylegan_lab.reporting.run_record import RunRecord
from stylegan_lab.reporting.score_protocol import ProtocolScore, ScoreProtocol
from stylegan_lab.reporting.statistics import MeanAndStd, holm_bonferroni, mean_and_std, permutation_test, welch_t_test

SIGNIFICANCE_LEVEL = 0.05
Ranking = Literal["best", "not_significant", "worse", "untested", "other_protocol", "unranked"]
RANKING_MARKS: dict[Ranking, str] = {
    "best": "*",
    "not_significant": "~",
    "worse": "",
    "untested": "?",
    "other_protocol": "!",
    "unranked": "",
}


@dataclass(frozen=True)
class ScoreCell:
    """The scores of one row's runs that share a protocol. `p_value` is from Welch's test against the best row, with Holm's
    adjustment; `exact_p_value` is from the permutation test, without adjustment."""

    values: Sequence[float]
    protocol: int  # index into the column's protocols
    ranking: Ranking = "unranked"
    p_value: float | None = None
    exact_p_value: float | None = None
    letter: str = ""  # of the protocol, if the protocols of a column differ

    @property
    def summary(self) -> MeanAndStd:
        return mean_and_std(self.values)

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, self.values))

    def format(self, num_runs: int) -> str:
        """Format the mean, standard deviation, ranking mark and letter of the protocol. The number of scores is added if it
        differs from `num_runs`."""
        summary = self.summary
        std = "" if summary.std is None else f" ± {summary.std:.2g}"
        count = f" ({summary.n})" if summary.n != num_runs else ""
        return f"{summary.mean:.4g}{std}{count} {RANKING_MARKS[self.ranking]} {self.letter}".rstrip().replace("  ", " ")


@dataclass(frozen=True)
class ScoreColumn:
    name: str
    direction: Direction | None
    cells: Sequence[ScoreCell | None]
    protocols: Sequence[ScoreProtocol]  # the most common first; scores are ranked among those of the same protocol
    excluded: Mapping[int, int] = field(default_factory=dict)  # by row: scores excluded for a different protocol

    def header(self, columns: Sequence["ScoreColumn"]) -> str:
        """The name of the score, with an arrow for its direction. The split is omitted if all `columns` have the same split."""
        splits = {each.name.split("/", 1)[0] for each in columns}
        name = self.name.split("/", 1)[1] if len(splits) == 1 else self.name
        return f"{name} {ARROWS[self.direction]}" if self.direction else name

    def as_json(self) -> dict[str, Any]:
        metric = self.name.split("/", 1)[1]
        protocols = [{**each.settings, "reference_score": each.reference_scores.get(metric)} for each in self.protocols]
        return {"direction": self.direction, "protocols": protocols}


def score_column(name: str, rows: Sequence[Sequence[ProtocolScore | None]], direction: Direction | None) -> ScoreColumn:
    """Build a column from `rows`, which hold one score (or None) for each run of a row."""
    protocols = _protocols_by_count([score.protocol for row in rows for score in row if score])
    cells: list[ScoreCell | None] = []
    excluded = {}
    for index, row in enumerate(rows):
        numbered = [(_protocol_index(score.protocol, protocols), score) for score in row if score]
        if not numbered:
            cells.append(None)
            continue
        counts = Counter(number for number, _ in numbered)
        main = min(counts, key=lambda number: (-counts[number], number))
        kept = [score.value for number, score in numbered if number == main]
        if len(kept) < len(numbered):
            excluded[index] = len(numbered) - len(kept)
        cells.append(ScoreCell(kept, main))
    return ScoreColumn(name, direction, _rank(cells, direction), protocols, excluded)


def _rank(cells: Sequence[ScoreCell | None], direction: Direction | None) -> list[ScoreCell | None]:
    """Rank the cells that share a protocol. If there are several protocols, a cell that is the only one of its protocol is
    marked."""
    ranked = list(cells)
    protocols = sorted({cell.protocol for cell in cells if cell})
    for protocol in protocols:
        group = {index: cell for index, cell in enumerate(cells) if cell and cell.protocol == protocol}
        for index, cell in _rank_group(group, direction).items():
            is_alone = len(group) == 1 and len(protocols) > 1
            letter = ascii_uppercase[min(protocol, 25)] if len(protocols) > 1 else ""
            ranked[index] = replace(cell, letter=letter, ranking="other_protocol" if is_alone else cell.ranking)
    return ranked


def _rank_group(cells: Mapping[int, ScoreCell], direction: Direction | None) -> dict[int, ScoreCell]:
    ranked = dict(cells)
    candidates = {index: cell for index, cell in cells.items() if cell.is_finite}
    if direction is None or len(candidates) < 2:
        return ranked
    choose: Callable[..., int] = max if direction == "higher" else min
    best = choose(candidates, key=lambda index: candidates[index].summary.mean)
    best_values = candidates.pop(best).values
    ranked[best] = replace(cells[best], ranking="best")
    p_values = holm_bonferroni([welch_t_test(cell.values, best_values) for cell in candidates.values()])
    for (index, cell), p_value in zip(candidates.items(), p_values, strict=True):
        is_worse = p_value is not None and p_value < SIGNIFICANCE_LEVEL
        ranking: Ranking = "untested" if p_value is None else "worse" if is_worse else "not_significant"
        exact_p_value = permutation_test(cell.values, best_values)
        ranked[index] = replace(cell, ranking=ranking, p_value=p_value, exact_p_value=exact_p_value)
    return ranked


def _protocols_by_count(protocols: Sequence[ScoreProtocol]) -> list[ScoreProtocol]:
    """The distinct protocols, the most common first."""
    distinct: list[ScoreProtocol] = []
    for protocol in protocols:
        if not any(each.matches(protocol) for each in distinct):
            distinct.append(protocol)
    counts = Counter(_protocol_index(protocol, distinct) for protocol in protocols)
    return [distinct[index] for index, _ in counts.most_common()]


def _protocol_index(protocol: ScoreProtocol, protocols: Sequence[ScoreProtocol]) -> int:
    return next(index for index, each in enumerate(protocols) if each.matches(protocol))


def score_directions(names: Sequence[str], runs: Sequence[RunRecord]) -> dict[str, Direction]:
    """Return the direction of each score, as recorded by a run or its config, or else the direction of the built-in metric."""
    directions: dict[str, Direction] = {}
    for run in runs:
        metrics = (run.config or {}).get("metrics") or {}
        for name in names:
            score, metric = run.scores.get(name), metrics.get(name.split("/", 1)[1])
            direction: Any = (score and score.direction) or (metric or {}).get("direction")
            if direction in ARROWS:
                directions.setdefault(name, direction)
    if missing := [name for name in names if name not in directions]:
        from stylegan_lab.evaluation.metrics import METRICS  # imported late: it imports torch, which takes seconds

        known = {name: METRICS.get(name.split("/", 1)[1]) for name in missing}
        directions |= {name: metric.direction for name, metric in known.items() if metric}
    return directions
