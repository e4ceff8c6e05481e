"""The table of baselines: expected, here, difference, status; commit, hardware and date. For a terminal and for the docs."""

from collections.abc import Sequence

from stylegan_lab.reproduction.baseline import Baseline, Number
from stylegan_lab.reproduction.verdict import Verdict

HEADS = ("baseline", "metric", "expected", "tolerance", "here", "difference", "status", "ran")
SIGNS = {"lower": "↓", "higher": "↑"}


def text(verdicts: Sequence[Verdict]) -> str:
    rows = [list(HEADS), *(row for verdict in verdicts for row in rows_of(verdict))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(verdicts: Sequence[Verdict]) -> str:
    rows = [list(HEADS), ["---"] * len(HEADS), *(row for verdict in verdicts for row in rows_of(verdict))]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def rows_of(verdict: Verdict) -> list[list[str]]:
    """A line for each number; what is said of all of them stands in the first."""
    rows: list[list[str]] = []
    for name, number in verdict.baseline.numbers.items():
        here = verdict.here.get(name)
        row = [f"{name} {SIGNS[number.better]}", f"{number.expected:.4g}", f"{number.tolerance:.2g}"]
        row += ["–", "–"] if here is None else [str(here), _difference(number, here.mean)]
        rows.append(["", *row, "", ""] if rows else [verdict.baseline.name, *row, str(verdict), _ran(verdict)])
    return rows


def _difference(number: Number, here: float) -> str:
    return f"{here - number.expected:+.2g}{'' if number.holds(here) else ' !'}"


def _ran(verdict: Verdict) -> str:
    """Commit, hardware and date; what it would cost where nothing ran."""
    if not verdict.results:
        return f"costs {verdict.baseline.told_cost}"
    told = []
    for result in verdict.results:
        commit = f"{result.commit[:9]}{'+' * bool(result.changed)}" if result.commit else "no commit"
        gpus = result.hardware.get("gpus") or []
        processor = result.hardware.get("processor") or "CPU"
        told.append(f"{commit}, {gpus[0] if gpus else processor}, {result.date}")
    return "; ".join(dict.fromkeys(told))


def told(baseline: Baseline) -> str:
    """What a baseline is, in a few lines."""
    return "\n".join(
        [
            f"{baseline.name}: {baseline.title}",
            f"  experiment {' '.join([baseline.experiment, *baseline.overrides])}, seeds {' '.join(map(str, baseline.seeds))}",
            f"  source     {baseline.source}",
            f"  protocol   {baseline.protocol}",
            f"  cost       {baseline.told_cost}",
        ]
    )
