"""A comparison: runs that differ only in their seed are one row; settings that differ, scores and cost are its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from stylegan_lab.comparison.columns import Column, column
from stylegan_lab.comparison.directions import directions_of
from stylegan_lab.comparison.entrant import Entrant, read_run
from stylegan_lab.comparison.judgement import Judgement, judge
from stylegan_lab.comparison.notes import notes
from stylegan_lab.comparison.settings import Differences, differences
from stylegan_lab.comparison.votes import Vote
from stylegan_lab.mistake import Mistake
from stylegan_lab.sweeps.spread import mean


@dataclass(frozen=True)
class Row:
    runs: Sequence[Entrant]
    name: str
    settings: Mapping[str, str]

    @property
    def seeds(self) -> list[int | None]:
        return [run.seed for run in self.runs]

    @property
    def state(self) -> str:
        states = [run.state for run in self.runs]
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        return states[0] if len(counts) == 1 else ", ".join(f"{count} {state}" for state, count in counts.items())

    def mean_cost(self, name: str) -> float | None:
        """Of one run, over those that know."""
        known = [value for run in self.runs if (value := getattr(run.cost, name)) is not None]
        return mean(known) if known else None

    @property
    def hardware(self) -> str:
        return "; ".join(dict.fromkeys(run.cost.hardware for run in self.runs if run.cost.hardware))


@dataclass(frozen=True)
class Comparison:
    runs: Sequence[Entrant]
    rows: Sequence[Row]
    differences: Differences
    columns: Sequence[Column]
    judgement: Judgement | None = None

    @cached_property
    def notes(self) -> list[str]:
        return notes(self.runs, self.rows, self.differences, self.columns, self.judgement)

    def judged(self, votes: Sequence[Vote]) -> "Comparison":
        """The same with what people thought of the rows' pictures."""
        row_of = {run.identity: index for index, row in enumerate(self.rows) for run in row.runs}
        return replace(self, judgement=judge(votes, row_of, len(self.rows)))

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "settings": {"shown": list(self.differences.shown), "implied": list(self.differences.implied)},
            "scores": {each.name: each.as_json() for each in self.columns},
            "rows": [self._row_as_json(index) for index in range(len(self.rows))],
            "judgement": self.judgement.as_json() if self.judgement else None,
            "notes": self.notes,
        }

    def _row_as_json(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        return {
            "name": row.name,
            "state": row.state,
            "seeds": row.seeds,
            "settings": {key: value for key, value in row.settings.items() if value},
            "scores": {
                each.name: {**vars(cell.spread), "standing": cell.standing, "p": cell.chance, "p_exact": cell.exact}
                for each in self.columns
                if (cell := each.cells[index]) is not None
            },
            "preferred": self._preferred_as_json(index),
            "cost": {name: row.mean_cost(name) for name in ("images", "seconds", "gpu_hours", "peak_bytes")}
            | {"hardware": row.hardware},
            "runs": [
                {
                    "folder": str(run.folder),
                    "seed": run.seed,
                    "state": run.state,
                    "iteration": run.iteration,
                    "commit": run.environment.get("commit"),
                    "scores": {name: score.value for name, score in run.scores.items()},
                    "cost": vars(run.cost),
                    "faults": list(run.faults),
                }
                for run in row.runs
            ],
        }

    def _preferred_as_json(self, index: int) -> dict[str, Any] | None:
        if self.judgement is None or (rate := self.judgement.rates[index]) is None:
            return None
        return {**rate.as_json(), "strength": self.judgement.strengths[index]}


def compare(folders: Sequence[Path], asked: Sequence[str] = ()) -> Comparison:
    """`asked` names the scores to show; else what was measured on the test split, or, where nothing was, on the way."""
    runs = [read_run(folder) for folder in folders]
    told_apart = differences([run.config for run in runs])
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, run in enumerate(runs):
        settings = told_apart.of[index]
        key = tuple(settings.values()) if run.config is not None else (str(run.folder),)
        groups.setdefault(key, []).append(index)
    names = _names([[runs[index].folder for index in group] for group in groups.values()])
    rows = [
        Row([runs[index] for index in group], name, told_apart.of[group[0]])
        for name, group in zip(names, groups.values(), strict=True)
    ]
    return ordered(Comparison(runs, rows, told_apart, columns(rows, asked)))


def columns(rows: Sequence[Row], asked: Sequence[str]) -> list[Column]:
    runs = [run for row in rows for run in row.runs]
    there = list(dict.fromkeys(name for run in runs for name in run.scores))
    for name in asked:
        if _full(name, there) is None:
            raise Mistake(f"--scores {name}: no run has it; there are: {', '.join(there) or 'none'}")
    tests = [name for name in there if name.startswith("test/")]
    chosen = [full for name in asked if (full := _full(name, there))] or tests or there
    better = directions_of(chosen, runs)
    return [
        column(name, [[run.scores.get(name) for run in row.runs] for row in rows], better.get(name)) for name in chosen
    ]


def ordered(comparison: Comparison) -> Comparison:
    """The best by the first score first; rows of which it is no number, or that have none, last."""
    if not comparison.columns:
        return comparison
    first = comparison.columns[0]
    sign = -1 if first.better == "higher" else 1

    def place(index: int) -> tuple[int, float]:
        cell = first.cells[index]
        if cell is None or not cell.is_finite:
            return (3, 0.0) if cell is None else (2, 0.0)
        return min(cell.protocol, 1), sign * cell.spread.mean

    order = sorted(range(len(comparison.rows)), key=place)
    where = {before: after for after, before in enumerate(order)}
    moved = [
        Column(each.name, each.better, [each.cells[index] for index in order], each.protocols,
               {where[index]: count for index, count in each.left_out.items()})
        for each in comparison.columns
    ]  # fmt: skip
    return Comparison(comparison.runs, [comparison.rows[index] for index in order], comparison.differences, moved)


def _full(name: str, there: Sequence[str]) -> str | None:
    """Without a split that of the test is meant, if there is one."""
    of_splits = [each for each in there if each.split("/", 1)[1] == name]
    tests = [each for each in of_splits if each.startswith("test/")]
    return name if name in there else next(iter(tests or of_splits), None)


def _names(groups: Sequence[Sequence[Path]]) -> list[str]:
    """The ends of paths, as long as it takes to tell them apart; seeds of one row share what they have in common."""
    paths = [folder.resolve() for group in groups for folder in group]
    length = next(n for n in range(1, 99) if len({path.parts[-n:] for path in paths}) == len(paths))
    names = ["/".join(path.parts[-length:]) for path in paths]
    waiting = iter(names)
    return [_joined([next(waiting) for _ in group]) for group in groups]


def _joined(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    start = names[0][: next((n for n, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), 0)]
    rests = [name[len(start) :] for name in names]
    if not start or not all(rests) or max(map(len, rests)) > 8:
        return f"{names[0]} and {len(names) - 1} more"
    return f"{start}{{{','.join(rests)}}}"
