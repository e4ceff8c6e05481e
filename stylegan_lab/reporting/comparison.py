"""A comparison of runs. Runs that differ only in their seed form one row. The columns are the settings that differ, scores
and cost."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylegan_lab.errors import UserError
from stylegan_lab.reporting.config_differences import ConfigDifferences, config_differences
from stylegan_lab.reporting.notes import comparison_notes
from stylegan_lab.reporting.preference_study.preferences import Preferences, compute_preferences
from stylegan_lab.reporting.preference_study.votes import Vote
from stylegan_lab.reporting.run_record import RunRecord, read_run
from stylegan_lab.reporting.score_columns import ScoreColumn, score_column, score_directions
from stylegan_lab.reporting.statistics import count_states, mean
from stylegan_lab.runs.reader import find_runs
from stylegan_lab.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]

TEXT_WIDTH = 160  # of a table that is not printed to a terminal


@dataclass(frozen=True)
class ComparisonTableRow:
    runs: Sequence[RunRecord]
    name: str
    settings: Mapping[str, str]

    @property
    def seeds(self) -> list[int | None]:
        return [run.seed for run in self.runs]

    @property
    def state(self) -> str:
        return count_states([run.state for run in self.runs])

    def mean_cost(self, name: str) -> float | None:
        """The cost per run, averaged over the runs that recorded it."""
        values = [value for run in self.runs if (value := getattr(run.cost, name)) is not None]
        return mean(values) if values else None

    @property
    def hardware(self) -> str:
        return "; ".join(dict.fromkeys(run.cost.hardware for run in self.runs if run.cost.hardware))


@dataclass(frozen=True)
class RunComparison:
    runs: Sequence[RunRecord]
    rows: Sequence[ComparisonTableRow]
    differences: ConfigDifferences
    columns: Sequence[ScoreColumn]
    preferences: Preferences | None = None

    @property
    def run_indices(self) -> list[list[int]]:
        """The indices of each row's runs."""
        index_of = {id(run): index for index, run in enumerate(self.runs)}
        return [[index_of[id(run)] for run in row.runs] for row in self.rows]

    @cached_property
    def notes(self) -> list[str]:
        return comparison_notes(self.runs, self.rows, self.columns, self.preferences)

    def with_votes(self, votes: Sequence[Vote]) -> "RunComparison":
        """A copy that includes the votes of a preference study."""
        row_of = {run.run_id: index for index, row in enumerate(self.rows) for run in row.runs}
        return replace(self, preferences=compute_preferences(votes, row_of, len(self.rows)))

    def __str__(self) -> str:
        from stylegan_lab.reporting.comparison_table import as_text  # which imports this class

        return as_text(self, TEXT_WIDTH)

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with the rows of the table: settings, seeds, mean and standard deviation of each score, and cost."""
        from stylegan_lab.reporting.comparison_table import as_csv

        try:
            import pandas as pd
        except ImportError:
            raise UserError(
                "compare.package_missing",
                "to_pandas() needs pandas; install it with pip install pandas, or use as_json()",
            ) from None
        return pd.read_csv(io.StringIO(as_csv(self)))

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "settings": {"shown": list(self.differences.shown), "implied": list(self.differences.implied)},
            "scores": {each.name: each.as_json() for each in self.columns},
            "rows": [self._row_as_json(index) for index in range(len(self.rows))],
            "preferences": self.preferences.as_json() if self.preferences else None,
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
                each.name: vars(cell.summary)
                | {name: getattr(cell, name) for name in ("ranking", "p_value", "exact_p_value", "protocol")}
                for each in self.columns
                if (cell := each.cells[index]) is not None
            },
            "preference": self.preferences.row_as_json(index) if self.preferences else None,
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
                    "warnings": list(run.warnings),
                }
                for run in row.runs
            ],
        }


def compare(*runs: Run | str | Path, scores: Sequence[str] = ()) -> RunComparison:
    """Compare the settings, scores and cost of runs. Runs with equal settings form one row, over which scores are averaged.

    Args:
        runs: Runs, run folders, folders that contain runs, sweeps, or glob patterns.
        scores: The scores to compare by. By default all test scores or, if there are none, all validation scores.
    """
    folders = find_runs([str(each.folder if isinstance(each, Run) else each) for each in runs])
    return compare_runs(folders, scores)


def compare_runs(folders: Sequence[Path], score_names: Sequence[str] = ()) -> RunComparison:
    """Compare runs by `score_names`; by default by all test scores or, if there are none, by all validation scores."""
    runs = [read_run(folder) for folder in folders]
    differences = config_differences([run.config for run in runs])
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, run in enumerate(runs):
        settings = differences.values[index]
        key = tuple(settings.values()) if run.config is not None else (str(run.folder),)
        groups.setdefault(key, []).append(index)
    names = _row_names([[runs[index].folder for index in group] for group in groups.values()])
    rows = [
        ComparisonTableRow([runs[index] for index in group], name, differences.values[group[0]])
        for name, group in zip(names, groups.values(), strict=True)
    ]
    return _sort_rows(RunComparison(runs, rows, differences, _score_columns(rows, score_names)))


def _score_columns(rows: Sequence[ComparisonTableRow], score_names: Sequence[str]) -> list[ScoreColumn]:
    runs = [run for row in rows for run in row.runs]
    available = list(dict.fromkeys(name for run in runs for name in run.scores))
    for name in score_names:
        if _full_name(name, available) is None:
            raise UserError(
                "compare.unknown_score",
                f"--scores {name}: no run has this score; available: {', '.join(available) or 'none'}",
            )
    tests = [name for name in available if name.startswith("test/")]
    chosen = [full for name in score_names if (full := _full_name(name, available))] or tests or available
    directions = score_directions(chosen, runs)
    return [
        score_column(name, [[run.scores.get(name) for run in row.runs] for row in rows], directions.get(name))
        for name in chosen
    ]


def _sort_rows(comparison: RunComparison) -> RunComparison:
    """Sort the rows by protocol and then by the first score, the best first. Non-finite scores follow, and then rows
    without the score."""
    if not comparison.columns:
        return comparison
    first = comparison.columns[0]
    sign = -1 if first.direction == "higher" else 1

    def sort_key(index: int) -> tuple[int, float]:
        cell = first.cells[index]
        if cell is None or not cell.is_finite:
            last = len(first.protocols)
            return (last + 1, 0.0) if cell is None else (last, 0.0)
        return cell.protocol, sign * cell.summary.mean

    order = sorted(range(len(comparison.rows)), key=sort_key)
    new_index = {before: after for after, before in enumerate(order)}
    columns = []
    for each in comparison.columns:
        excluded = {new_index[index]: count for index, count in each.excluded.items()}
        columns.append(replace(each, cells=[each.cells[index] for index in order], excluded=excluded))
    return replace(comparison, rows=[comparison.rows[index] for index in order], columns=columns)


def _full_name(name: str, available: Sequence[str]) -> str | None:
    """Find a score by its name. A name without a split means the test score if there is one."""
    candidates = [each for each in available if each.split("/", 1)[1] == name]
    tests = [each for each in candidates if each.startswith("test/")]
    return name if name in available else next(iter(tests or candidates), None)


def _row_names(groups: Sequence[Sequence[Path]]) -> list[str]:
    """Name each row by the shortest endings of its paths that are unique, with its seeds joined: demo-{0,1,2}. If a name
    starts with a digit, as a time stamp does, the parent folder is added: demo/20260101-120000."""
    paths = [folder.resolve() for group in groups for folder in group]
    length = next(n for n in range(1, 99) if len({path.parts[-n:] for path in paths}) == len(paths))
    if length == 1 and any(path.name[:1].isdigit() for path in paths):
        length = 2
    names = iter(["/".join(path.parts[-length:]) for path in paths])
    return [_joined([next(names) for _ in group]) for group in groups]


def _joined(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    prefix = commonprefix(names)  # noqa: RUF071  character by character
    suffixes = [name[len(prefix) :] for name in names]
    if not prefix or not all(suffixes) or max(map(len, suffixes)) > 8:
        return f"{names[0]} and {len(names) - 1} more"
    return f"{prefix}{{{','.join(suffixes)}}}"
