"""Notes below a comparison: what a reader must know to interpret its numbers."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from stylegan_lab.reporting.preference_study.preferences import Preferences
from stylegan_lab.reporting.run_record import RunRecord
from stylegan_lab.reporting.score_columns import SIGNIFICANCE_LEVEL, ScoreColumn

Key = TypeVar("Key", int, str)
MAX_NAMES = 4  # listed in a note before "and N more"


def comparison_notes(
    runs: Sequence[RunRecord],
    rows: Sequence[Any],
    columns: Sequence[ScoreColumn],
    preferences: Preferences | None = None,
) -> list[str]:
    about_runs = [*_warnings(runs), *_protocols(rows, columns), *_not_finite(rows, columns), *_iterations(runs)]
    return [*_legend(columns), *_preferences(preferences), *about_runs, *_commits(runs), *_seeds(rows, columns)]


def _legend(columns: Sequence[ScoreColumn]) -> Iterator[str]:
    splits = {column.name.split("/", 1)[0] for column in columns}
    if len(splits) == 1:
        yield f"scores are of the {splits.pop()} split"
    rankings = {cell.ranking for column in columns for cell in column.cells if cell}
    if letters := sorted({cell.letter for column in columns for cell in column.cells if cell and cell.letter}):
        same = f"scores of a column can be compared only with those of the same letter ({', '.join(letters)})"
        yield f"scores were measured by different protocols: {same}; ! has none to compare with"
    if "best" in rankings:
        legend = "* best of its letter" if letters else "* best"
        if "untested" in rankings:
            legend += "; ? cannot be tested against the best with one seed"
        if rankings & {"not_significant", "worse"}:
            legend += f"; ~ not significantly different from the best (p >= {SIGNIFICANCE_LEVEL}); no mark: worse"
            legend += " (Welch's t test, Holm's correction over the rows of a column)"
        yield legend


def _preferences(preferences: Preferences | None) -> Iterator[str]:
    if preferences is None:
        return
    yield (
        f"preferred: the share of its votes that a row won, a tie counting half ({preferences.num_votes} votes of "
        f"{preferences.num_voters} voters); Wilson's 95% intervals, which assume independent votes"
    )
    if preferences.num_ignored:
        yield f"{preferences.num_ignored} votes are not counted: they are about other runs, or about two runs of one row"


def _warnings(runs: Sequence[RunRecord]) -> Iterator[str]:
    folders_by_warning = _grouped(
        (warning.replace(str(run.folder), "RUN"), str(run.folder)) for run in runs for warning in run.warnings
    )
    for warning, folders in folders_by_warning.items():
        yield f"{_few(folders)}: {warning.replace('RUN', folders[0]) if len(folders) == 1 else warning}"


def _protocols(rows: Sequence[Any], columns: Sequence[ScoreColumn]) -> Iterator[str]:
    found = []
    for column in columns:
        for number in range(1, len(column.protocols)):
            names = [rows[index].name for index, cell in enumerate(column.cells) if cell and cell.protocol == number]
            if names:
                difference = column.protocols[0].difference_from(column.protocols[number])
                found.append((f"{_few(names)}, measured by another protocol ({difference})", column.name))
        for index, count in column.excluded.items():
            found.append(
                (f"{count} of {rows[index].name}, excluded from its mean for a different protocol", column.name)
            )
    for note, scores in _grouped(found).items():
        yield f"not compared: {_few(scores)} of {note}"


def _not_finite(rows: Sequence[Any], columns: Sequence[ScoreColumn]) -> Iterator[str]:
    found = []
    for column in columns:
        if names := [rows[index].name for index, cell in enumerate(column.cells) if cell and not cell.is_finite]:
            found.append((_few(names), column.name))
    for names_of_rows, scores in _grouped(found).items():
        yield f"not ranked: {_few(scores)} of {names_of_rows}, which is not finite for every seed"


def _iterations(runs: Sequence[RunRecord]) -> Iterator[str]:
    by_iteration = _grouped(
        (iteration or 0, run.folder.name)
        for run in runs
        for iteration in {score.iteration for name, score in run.scores.items() if name.startswith("test/")}
    )
    if len(by_iteration) > 1:
        listed = "; ".join(f"{iteration}: {_few(names)}" for iteration, names in sorted(by_iteration.items()))
        yield f"evaluated after different numbers of iterations ({listed})"


def _commits(runs: Sequence[RunRecord]) -> Iterator[str]:
    commits = [(run.environment.get("commit"), run.folder.name) for run in runs]
    by_commit = _grouped((commit[:8] + "+" * commit.endswith("+"), name) for commit, name in commits if commit)
    if len(by_commit) > 1:
        listed = "; ".join(f"{commit}: {_few(names)}" for commit, names in list(by_commit.items())[:MAX_NAMES])
        yield f"trained with {len(by_commit)} versions of the code ({listed}{'; ...' * (len(by_commit) > MAX_NAMES)})"


def _seeds(rows: Sequence[Any], columns: Sequence[ScoreColumn]) -> Iterator[str]:
    single = [row.name for row in rows if len(row.runs) < 2]
    if len(rows) > 1 and single and columns:
        where = "all rows" if len(single) == len(rows) else _few(single)
        yield f"too few seeds: differences cannot be tested with one seed, in {where} (train with seeds=3 or more)"
    for row in rows:
        repeated = sorted({seed for seed in row.seeds if seed is not None and row.seeds.count(seed) > 1})
        if repeated:
            seeds = ", ".join(map(str, repeated))
            yield f"{row.name}: seed {seeds} occurs more than once; these runs are counted as if they were independent"


def _grouped(pairs: Iterable[tuple[Key, str]]) -> dict[Key, list[str]]:
    groups: dict[Key, list[str]] = {}
    for key, name in pairs:
        groups.setdefault(key, []).append(name)
    return groups


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
