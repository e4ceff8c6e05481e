"""The table of a comparison: as text for a terminal, Markdown for an issue or a paper's notes, CSV for a program."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stylegan_lab.aligned import aligned
from stylegan_lab.comparison.comparison import Comparison
from stylegan_lab.sweeps.board import clock

MOST_SCORES = 8  # beside each other on a terminal


@dataclass(frozen=True)
class CostColumn:
    name: str  # of Cost
    tell: Callable[[float], str]

    def told(self, value: float | None) -> str:
        return "" if value is None else self.tell(value)


COSTS = {
    "images": CostColumn("images", "{:,.0f}".format),
    "time": CostColumn("seconds", clock),
    "GPU-hours": CostColumn("gpu_hours", "{:.3g}".format),
    "peak memory": CostColumn("peak_bytes", lambda value: f"{value / 2**30:.2f} GiB"),
}


def heads(comparison: Comparison, settings: Sequence[str]) -> list[str]:
    scores = [each.head(comparison.columns) for each in comparison.columns]
    return [
        "runs",
        *settings,
        "seeds",
        *scores,
        *(["preferred ↑"] if comparison.judgement else []),
        *costs_of(comparison),
    ]


def cells(comparison: Comparison, index: int, settings: Sequence[str]) -> list[str]:
    row = comparison.rows[index]
    scores = [cell.told(len(row.runs)) if (cell := each.cells[index]) else "" for each in comparison.columns]
    state = "" if row.state == "done" else f" ({row.state})"
    return [
        f"{row.name}{state}",
        *(row.settings.get(key, "") for key in settings),
        str(len(row.runs)),
        *scores,
        *([preferred(comparison, index)] if comparison.judgement else []),
        *(COSTS[name].told(row.mean_cost(COSTS[name].name)) for name in costs_of(comparison)),
    ]


def preferred(comparison: Comparison, index: int) -> str:
    rate = comparison.judgement and comparison.judgement.rates[index]
    return str(rate) if rate else ""


def as_text(comparison: Comparison, width: int) -> str:
    """In one piece if it fits; else the settings stand below, a line each."""
    more = [each.name for each in comparison.columns[MOST_SCORES:]]
    comparison = replace(comparison, columns=comparison.columns[:MOST_SCORES])
    shown = comparison.differences.shown
    whole = aligned(_rows(comparison, shown))
    if max(map(len, whole)) > width and shown:
        below = [["", *(row.name for row in comparison.rows)]]
        below += [[key, *(row.settings.get(key, "") or "-" for row in comparison.rows)] for key in shown]
        whole = [*aligned(_rows(comparison, [])), "", *aligned(below)]
    also = [f"also scored: {', '.join(more)} (--scores NAMES shows them)"] if more else []
    return "\n".join([*whole, "", *also, *comparison.notes])


def as_markdown(comparison: Comparison) -> str:
    shown = comparison.differences.shown
    rows = [[cell.replace("|", "\\|") for cell in row] for row in _rows(comparison, shown)]
    words = 1 + len(shown)
    rule = ["---"] * words + ["---:"] * (len(rows[0]) - words)
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    return "\n".join([*lines, "", *(f"- {note}" for note in comparison.notes)])


def as_csv(comparison: Comparison) -> str:
    """Plain numbers: a mean, a deviation and a count for each score."""
    settings = [*comparison.differences.shown, *comparison.differences.implied]
    scores = [f"{each.name}{what}" for each in comparison.columns for what in ("", " deviation", " n", " standing")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    costs = [each.name for each in COSTS.values()]
    judged = ["preferred", "preferred low", "preferred high", "preferred votes"] if comparison.judgement else []
    writer.writerow(["runs", "state", *settings, "seeds", *scores, *judged, *costs])
    for index, row in enumerate(comparison.rows):
        values: list[object] = []
        for each in comparison.columns:
            cell = each.cells[index]
            values += ["", "", "", ""] if cell is None else [*vars(cell.spread).values(), cell.standing]
        if comparison.judgement:
            rate = comparison.judgement.rates[index]
            values += [rate.mean, *rate.interval, rate.n] if rate else [""] * len(judged)
        seeds = " ".join(str(seed) for seed in row.seeds)
        writer.writerow([row.name, row.state, *(row.settings.get(key, "") for key in settings), seeds, *values,
                         *(row.mean_cost(name) for name in costs)])  # fmt: skip
    return out.getvalue().rstrip("\n")


def _rows(comparison: Comparison, settings: Sequence[str]) -> list[list[str]]:
    return [heads(comparison, settings), *(cells(comparison, index, settings) for index in range(len(comparison.rows)))]


def costs_of(comparison: Comparison) -> list[str]:
    """Those that somebody knows."""
    return [
        name for name, told in COSTS.items() if any(row.mean_cost(told.name) is not None for row in comparison.rows)
    ]
