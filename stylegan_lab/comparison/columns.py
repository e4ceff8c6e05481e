"""A column: one score over all rows, its best marked, and who is told apart from it."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stylegan_lab.better import SIGNS, Better
from stylegan_lab.comparison.score import Protocol, Score
from stylegan_lab.comparison.significance import holm, permutation, welch
from stylegan_lab.sweeps.spread import Spread, spread

LEVEL = 0.05
Standing = Literal["best", "alike", "apart", "untested", "elsewhere", "unranked"]
MARKS: dict[str, str] = {"best": "*", "alike": "~", "apart": "", "untested": "?", "elsewhere": "!", "unranked": ""}


@dataclass(frozen=True)
class Cell:
    """A row's scores, under one protocol. `chance` is Welch's, corrected; `exact` that of all permutations."""

    values: Sequence[float]
    protocol: int  # which of the column's
    standing: Standing = "unranked"
    chance: float | None = None
    exact: float | None = None

    @property
    def spread(self) -> Spread:
        return spread(self.values)

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, self.values))

    def told(self, runs: int) -> str:
        """With its mark; how many there are is said where it is not the number of the row's runs."""
        spread = self.spread
        deviation = "" if spread.deviation is None else f" ± {spread.deviation:.2g}"
        few = f" ({spread.n})" if spread.n != runs else ""
        return f"{spread.mean:.4g}{deviation}{few} {MARKS[self.standing]}".rstrip()


@dataclass(frozen=True)
class Column:
    name: str
    better: Better | None
    cells: Sequence[Cell | None]
    protocols: Sequence[Protocol]  # the most common first; only its scores are compared
    left_out: Mapping[int, int] = field(default_factory=dict)  # by row, those of another protocol than its others

    def head(self, among: Sequence["Column"]) -> str:
        """Its name, without the split if that is the same in all, and which way is better."""
        splits = {each.name.split("/", 1)[0] for each in among}
        name = self.name.split("/", 1)[1] if len(splits) == 1 else self.name
        return f"{name} {SIGNS[self.better]}" if self.better else name

    def as_json(self) -> dict[str, Any]:
        metric = self.name.split("/", 1)[1]
        protocols = [{**each.told, "without a model": each.yardsticks.get(metric)} for each in self.protocols]
        return {"better": self.better, "protocols": protocols}


def column(name: str, rows: Sequence[Sequence[Score | None]], better: Better | None) -> Column:
    """`rows` hold a score for each of a row's runs."""
    protocols = _protocols([score.protocol for row in rows for score in row if score])
    cells: list[Cell | None] = []
    left_out = {}
    for index, row in enumerate(rows):
        which = [(_which(score.protocol, protocols), score) for score in row if score]
        if not which:
            cells.append(None)
            continue
        usual = min(Counter(number for number, _ in which).most_common(), key=lambda each: (-each[1], each[0]))[0]
        kept = [score.value for number, score in which if number == usual]
        if len(kept) < len(which):
            left_out[index] = len(which) - len(kept)
        cells.append(Cell(kept, usual))
    return Column(name, better, _ranked(cells, better), protocols, left_out)


def _ranked(cells: Sequence[Cell | None], better: Better | None) -> list[Cell | None]:
    able = [index for index, cell in enumerate(cells) if cell and cell.protocol == 0 and cell.is_finite]
    ranked: list[Cell | None] = [
        Cell(cell.values, cell.protocol, "elsewhere") if cell and cell.protocol else cell for cell in cells
    ]
    if better is None or len(able) < 2:
        return ranked
    choose: Callable[..., int] = max if better == "higher" else min
    best = choose(able, key=lambda index: _of(cells, index).spread.mean)
    others = [index for index in able if index != best]
    winner = _of(cells, best)
    ranked[best] = Cell(winner.values, 0, "best")
    chances = holm([welch(_of(cells, index).values, winner.values) for index in others])
    for index, chance in zip(others, chances, strict=True):
        cell = _of(cells, index)
        standing: Standing = "untested" if chance is None else "alike" if chance >= LEVEL else "apart"
        ranked[index] = Cell(cell.values, 0, standing, chance, permutation(cell.values, winner.values))
    return ranked


def _of(cells: Sequence[Cell | None], index: int) -> Cell:
    cell = cells[index]
    assert cell is not None
    return cell


def _protocols(all_of_them: Sequence[Protocol]) -> list[Protocol]:
    """Each once, the most common first."""
    found: list[Protocol] = []
    counts: list[int] = []
    for protocol in all_of_them:
        which = next((index for index, each in enumerate(found) if each.agrees(protocol)), None)
        if which is None:
            found.append(protocol)
            counts.append(1)
        else:
            counts[which] += 1
    return [found[index] for index in sorted(range(len(found)), key=lambda index: -counts[index])]


def _which(protocol: Protocol, protocols: Sequence[Protocol]) -> int:
    return next(index for index, each in enumerate(protocols) if each.agrees(protocol))
