"""Notes: what a reader of the table must know and its numbers do not say."""

from collections.abc import Iterator, Sequence
from typing import Any

from stylegan_lab.comparison.columns import LEVEL, Column
from stylegan_lab.comparison.entrant import Entrant
from stylegan_lab.comparison.judgement import Judgement
from stylegan_lab.comparison.settings import Differences

MOST = 4  # names told one by one


def notes(
    runs: Sequence[Entrant],
    rows: Sequence[Any],
    told_apart: Differences,
    columns: Sequence[Column],
    judgement: Judgement | None = None,
) -> list[str]:
    return [
        *_legend(columns),
        *_judged(judgement),
        *_faults(runs),
        *_older(runs, told_apart),
        *_protocols(rows, columns),
        *_not_finite(rows, columns),
        *_iterations(runs),
        *_commits(runs),
        *_seeds(rows, columns),
    ]


def _faults(runs: Sequence[Entrant]) -> Iterator[str]:
    by_fault: dict[str, list[str]] = {}
    for run in runs:
        for fault in run.faults:
            by_fault.setdefault(fault.replace(str(run.folder), "RUN"), []).append(str(run.folder))
    for fault, folders in by_fault.items():
        yield f"{_few(folders)}: {fault.replace('RUN', folders[0]) if len(folders) == 1 else fault}"


def _judged(judgement: Judgement | None) -> Iterator[str]:
    if judgement is None:
        return
    yield (
        f"preferred: the share of its votes that a row won, a tie being half ({judgement.counted} votes of {judgement.judges} "
        "judges); 95% intervals after Wilson, as if votes did not depend on each other"
    )
    if judgement.others:
        yield f"{judgement.others} votes are of other runs, or of two of one row, and are not counted"


def _older(runs: Sequence[Entrant], told_apart: Differences) -> Iterator[str]:
    by_runs: dict[tuple[int, ...], list[str]] = {}
    for key, older in told_apart.unknown.items():
        by_runs.setdefault(tuple(older), []).append(key)
    for older, keys in by_runs.items():
        names = _few([str(runs[index].folder) for index in older])
        yield f"{names}: of another version, which has no setting {_few(keys)}; taken for what the others have, if they agree"


def _protocols(rows: Sequence[Any], columns: Sequence[Column]) -> Iterator[str]:
    told: dict[str, list[str]] = {}
    for column in columns:
        for number in range(1, len(column.protocols)):
            where = [rows[index].name for index, cell in enumerate(column.cells) if cell and cell.protocol == number]
            if where:
                unlike = column.protocols[0].unlike(column.protocols[number])
                told.setdefault(f"{_few(where)} by another protocol than the others ({unlike}): marked !", []).append(
                    column.name
                )
        for index, count in column.left_out.items():
            told.setdefault(f"{count} of {rows[index].name} left out of its mean, of another protocol", []).append(
                column.name
            )
    for what, names in told.items():
        yield f"not compared: {_few(names)} of {what}"


def _not_finite(rows: Sequence[Any], columns: Sequence[Column]) -> Iterator[str]:
    told: dict[str, list[str]] = {}
    for column in columns:
        where = [rows[index].name for index, cell in enumerate(column.cells) if cell and not cell.is_finite]
        if where:
            told.setdefault(_few(where), []).append(column.name)
    for who, names in told.items():
        yield f"not ranked: {_few(names)} of {who}, which is no finite number in every seed"


def _iterations(runs: Sequence[Entrant]) -> Iterator[str]:
    at: dict[int, list[str]] = {}
    for run in runs:
        for iteration in {score.iteration for name, score in run.scores.items() if name.startswith("test/")}:
            at.setdefault(iteration or 0, []).append(run.folder.name)
    if len(at) > 1:
        told = "; ".join(f"{iteration}: {_few(names)}" for iteration, names in sorted(at.items()))
        yield f"scored after different numbers of iterations ({told})"


def _commits(runs: Sequence[Entrant]) -> Iterator[str]:
    commits: dict[str, list[str]] = {}
    for run in runs:
        if commit := run.environment.get("commit"):
            commits.setdefault(f"{commit[:8]}{'+' * commit.endswith('+')}", []).append(run.folder.name)
    if len(commits) > 1:
        told = "; ".join(f"{commit}: {_few(names)}" for commit, names in list(commits.items())[:MOST])
        yield f"made with {len(commits)} versions of the code ({told}{'; ...' if len(commits) > MOST else ''})"


def _seeds(rows: Sequence[Any], columns: Sequence[Column]) -> Iterator[str]:
    few = [row.name for row in rows if len(row.runs) < 2]
    if len(rows) > 1 and few and columns:
        who = "all rows" if len(few) == len(rows) else _few(few)
        yield f"too few seeds to tell luck from merit, one, in {who} (train with seeds=3 or more)"
    for row in rows:
        repeated = sorted({seed for seed in row.seeds if seed is not None and row.seeds.count(seed) > 1})
        if repeated:
            told = ", ".join(map(str, repeated))
            yield f"{row.name}: seed {told} more than once; such runs are counted as if they were independent"


def _legend(columns: Sequence[Column]) -> Iterator[str]:
    splits = {column.name.split("/", 1)[0] for column in columns}
    if len(splits) == 1:
        yield f"scores are of the {splits.pop()} split"
    standings = {cell.standing for column in columns for cell in column.cells if cell}
    if "best" in standings:
        told = ["* best"]
        told += ["? cannot be tested against it with one seed"] if "untested" in standings else []
        tested = "alike" in standings or "apart" in standings
        told += [f"~ not told apart from it (p >= {LEVEL}); no mark: worse"] if tested else []
        yield "; ".join(told) + (" (Welch's t test, Holm's correction over the rows of a column)" if tested else "")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= MOST else f"{', '.join(names[:MOST])} and {len(names) - MOST} more"
