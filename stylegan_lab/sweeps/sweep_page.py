"""The page of a sweep, sweep.html: parallel coordinates, importance and the table, in one file that works offline."""

from collections.abc import Mapping, Sequence
from typing import Any

from stylegan_lab.evaluation.metric_direction import ARROWS, Direction
from stylegan_lab.reporting.html_page import render_page
from stylegan_lab.sweeps.sweep_report import SweepReport, TrialGroup

WIDTH, HEIGHT, MARGIN = 960, 320, 60


def sweep_page(report: SweepReport) -> str:
    groups, best = report.groups, [group.trials for group in report.best]
    return render_page(
        "sweep_page.html.j2",
        title=report.sweep.name,
        width=WIDTH,
        height=HEIGHT,
        margin=MARGIN,
        groups=groups,
        best=best,
        params=list(dict.fromkeys(key for group in groups for key in group.point)),
        metrics=list(dict.fromkeys([*report.directions, *(name for group in groups for name in group.scores)])),
        importance=report.importance,
        states=[_states(group) for group in groups],
        **parallel_coordinates(groups, best, report.directions),
    )


def parallel_coordinates(
    groups: Sequence[TrialGroup], best: Sequence[Sequence[Any]], directions: Mapping[str, Direction]
) -> dict[str, list[dict[str, Any]]]:
    """The vertical `axes`, one for each parameter and objective, and the `lines`, one for each point with all objectives."""
    scored = [group for group in groups if all(name in group.scores for name in directions)]
    keys = dict.fromkeys(key for group in scored for key in group.point)
    columns = {key: [group.point.get(key, "") for group in scored] for key in keys}
    for name, direction in directions.items():
        columns[f"{name} {ARROWS[direction]}"] = [f"{group.scores[name].mean:.4g}" for group in scored]
    xs = [MARGIN + index * (WIDTH - 2 * MARGIN) / max(1, len(columns) - 1) for index in range(len(columns))]
    axes: list[dict[str, Any]] = []
    paths: list[list[str]] = [[] for _ in scored]
    for x, (name, values) in zip(xs, columns.items(), strict=True):
        heights = {value: HEIGHT - MARGIN - at * (HEIGHT - 2 * MARGIN) for value, at in _positions(values).items()}
        axes.append({"name": name, "x": x, "ticks": _ticks(heights)})
        for path, value in zip(paths, values, strict=True):
            path.append(f"{x:.0f} {heights[value]:.1f}")
    lines = [
        {
            "path": "M" + " L".join(path),
            "color": color,
            "label": _label(group, directions),
            "is_best": group.trials in best,
        }
        for group, path, color in zip(scored, paths, _colors(scored, directions), strict=True)
    ]
    return {"axes": axes, "lines": lines}


def _positions(values: Sequence[str]) -> dict[str, float]:
    """The position of each value on its axis, from 0 to 1: numbers to scale, other values evenly spaced."""
    try:
        numbers = {value: float(value) for value in values}
    except ValueError:
        names = list(dict.fromkeys(values))
        return {name: (index + 0.5) / len(names) for index, name in enumerate(names)}
    low, high = min(numbers.values(), default=0.0), max(numbers.values(), default=0.0)
    return {value: (number - low) / (high - low) if high > low else 0.5 for value, number in numbers.items()}


def _ticks(heights: Mapping[str, float]) -> list[tuple[str, float]]:
    """Up to five values are all labeled; of more, only the lowest and the highest."""
    ordered = sorted(heights.items(), key=lambda item: -item[1])
    return ordered if len(ordered) <= 5 else [ordered[0], ordered[-1]]


def _colors(groups: Sequence[TrialGroup], directions: Mapping[str, Direction]) -> list[str]:
    """From blue to red by the rank in the first objective."""
    name, direction = next(iter(directions.items()))
    means = [group.scores[name].mean for group in groups]
    order = sorted(means, reverse=direction == "higher")
    return [f"hsl({230 - 230 * order.index(mean) / max(1, len(order) - 1):.0f} 65% 45%)" for mean in means]


def _label(group: TrialGroup, directions: Mapping[str, Direction]) -> str:
    point = ", ".join(f"{key}={value}" for key, value in group.point.items())
    return f"#{group.trials[0].number} {point}: " + ", ".join(f"{name} {group.scores[name]}" for name in directions)


def _states(group: TrialGroup) -> str:
    return ", ".join(dict.fromkeys(f"{trial.state} {trial.reason}".strip() for trial in group.trials))
