"""Formats the table of a comparison as text for a terminal, as Markdown or as CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stylegan_lab.console import format_seconds, format_table
from stylegan_lab.reporting.comparison import RunComparison

MAX_SCORES = 8  # columns of scores in a terminal


@dataclass(frozen=True)
class CostColumn:
    name: str  # field of RunCost
    formatter: Callable[[float], str]

    def format(self, value: float | None) -> str:
        return "" if value is None else self.formatter(value)


COSTS = {
    "images": CostColumn("images", "{:,.0f}".format),
    "time": CostColumn("seconds", format_seconds),
    "GPU-hours": CostColumn("gpu_hours", "{:.3g}".format),
    "peak memory": CostColumn("peak_bytes", lambda value: f"{value / 2**30:.2f} GiB"),
}


def as_text(comparison: RunComparison, width: int) -> str:
    """Format the comparison as one table if it fits into `width` columns. Otherwise the settings follow in a second table."""
    hidden = [each.name for each in comparison.columns[MAX_SCORES:]]
    comparison = replace(comparison, columns=comparison.columns[:MAX_SCORES])
    shown = comparison.differences.shown
    lines = format_table(_rows(comparison, shown))
    if max(map(len, lines)) > width and shown:
        settings = [["", *(row.name for row in comparison.rows)]]
        settings += [[key, *(row.settings.get(key, "") or "-" for row in comparison.rows)] for key in shown]
        lines = [*format_table(_rows(comparison, [])), "", *format_table(settings)]
    more = [f"more scores: {', '.join(hidden)} (show them with --scores NAMES)"] if hidden else []
    return "\n".join([*lines, "", *more, *comparison.notes])


def as_markdown(comparison: RunComparison) -> str:
    shown = comparison.differences.shown
    rows = [[cell.replace("|", "\\|") for cell in row] for row in _rows(comparison, shown)]
    text_columns = 1 + len(shown)
    rule = ["---"] * text_columns + ["---:"] * (len(rows[0]) - text_columns)
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    return "\n".join([*lines, "", *(f"- {note}" for note in comparison.notes)])


def as_csv(comparison: RunComparison) -> str:
    """Format the comparison as CSV, with the mean, standard deviation, count and ranking of each score in separate columns."""
    settings = [*comparison.differences.shown, *comparison.differences.implied]
    scores = [f"{each.name}{field}" for each in comparison.columns for field in ("", " std", " n", " ranking")]
    preferred = ["preferred", "preferred low", "preferred high", "preferred votes"] if comparison.preferences else []
    costs = [each.name for each in COSTS.values()]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["runs", "state", *settings, "seeds", *scores, *preferred, *costs])
    for index, row in enumerate(comparison.rows):
        values: list[object] = []
        for each in comparison.columns:
            cell = each.cells[index]
            values += ["", "", "", ""] if cell is None else [*vars(cell.summary).values(), cell.ranking]
        if comparison.preferences:
            win_rate = comparison.preferences.win_rates[index]
            values += [win_rate.win_rate, *win_rate.interval, win_rate.votes] if win_rate else [""] * len(preferred)
        seeds = " ".join(str(seed) for seed in row.seeds)
        writer.writerow([row.name, row.state, *(row.settings.get(key, "") for key in settings), seeds, *values,
                         *(row.mean_cost(name) for name in costs)])  # fmt: skip
    return out.getvalue().rstrip("\n")


def recorded_costs(comparison: RunComparison) -> list[str]:
    """The names of the costs that at least one row has."""
    return [
        name for name, cost in COSTS.items() if any(row.mean_cost(cost.name) is not None for row in comparison.rows)
    ]


def _rows(comparison: RunComparison, settings: Sequence[str]) -> list[list[str]]:
    """The header, and the cells of each row."""
    costs, columns, preferences = recorded_costs(comparison), comparison.columns, comparison.preferences
    preferred = ["preferred ↑"] if preferences else []
    lines = [["runs", *settings, "seeds", *(each.header(columns) for each in columns), *preferred, *costs]]
    for index, row in enumerate(comparison.rows):
        lines.append(
            [
                row.name if row.state == "finished" else f"{row.name} ({row.state})",
                *(row.settings.get(key, "") for key in settings),
                str(len(row.runs)),
                *(cell.format(len(row.runs)) if (cell := each.cells[index]) else "" for each in columns),
                *([str(preferences.win_rates[index] or "")] if preferences else []),
                *(COSTS[name].format(row.mean_cost(COSTS[name].name)) for name in costs),
            ]
        )
    return lines
