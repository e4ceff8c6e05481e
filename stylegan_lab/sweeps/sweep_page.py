"""The page of a sweep, sweep.html: the best command, the table, samples, parallel coordinates and parameter importance.

The page is one file that works offline. Only its links to the folders of trials need the folder of the sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stylegan_lab.evaluation.metric_direction import ARROWS, Direction
from stylegan_lab.images.open_image import read_row_names
from stylegan_lab.reporting.html_page import file_uri, last_image, render_page
from stylegan_lab.sweeps.sweep_report import SweepReport, TrialGroup, reproduce_command, sort_groups
from stylegan_lab.sweeps.trial import Trial

WIDTH, HEIGHT, MARGIN = 960, 320, 60
MAX_NUMBER_LENGTH = 6  # characters of a number that is shown as it is
MAX_COMMANDS = 5  # of the points of a Pareto front
MAX_SAMPLES = 12  # points with images, the best first


@dataclass(frozen=True)
class PointSamples:
    """The image that represents a point: the last image of the point's first trial that has images."""

    trial: Trial
    label: str
    score: str
    image: str  # a data URI
    row_names: Sequence[str]


def sweep_page(report: SweepReport) -> str:
    groups, best = sort_groups(report.groups, report.directions), [group.trials for group in report.best]
    return render_page(
        "sweep_page.html.j2",
        title=report.sweep.name,
        best_groups=report.best[:MAX_COMMANDS],
        command=reproduce_command,
        directions=report.directions,
        arrows=ARROWS,
        short=short_number,
        samples=_samples(groups, report.directions),
        width=WIDTH,
        height=HEIGHT,
        margin=MARGIN,
        groups=groups,
        best=best,
        params=list(dict.fromkeys(key for group in groups for key in group.point)),
        metrics=list(dict.fromkeys([*report.directions, *(name for group in groups for name in group.scores)])),
        importance=report.importance,
        states=[_states(group) for group in groups],
        **parallel_coordinates(groups[::-1], best, report.directions),  # the best is drawn last, on top
    )


def parallel_coordinates(
    groups: Sequence[TrialGroup], best: Sequence[Sequence[Any]], directions: Mapping[str, Direction]
) -> dict[str, list[dict[str, Any]]]:
    """Return the data of the plot: a vertical axis for each parameter and objective (`axes`), and a line for each point
    that has all objectives (`lines`)."""
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
        side = "end" if x > WIDTH / 2 else "start"  # of the axis on which there is room for text
        axes.append({"name": name, "x": x, "ticks": _ticks(heights), "anchor": side})
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
    """Return the position of each value on its axis, from 0 to 1. Numbers are drawn to scale, and other values are evenly
    spaced."""
    try:
        numbers = {value: float(value) for value in values}
    except ValueError:
        names = list(dict.fromkeys(values))
        return {name: (index + 0.5) / len(names) for index, name in enumerate(names)}
    low, high = min(numbers.values(), default=0.0), max(numbers.values(), default=0.0)
    return {value: (number - low) / (high - low) if high > low else 0.5 for value, number in numbers.items()}


def _ticks(heights: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the labels of an axis. All values are labeled if there are at most five, otherwise only the lowest and the highest."""
    ordered = sorted(((short_number(value), height) for value, height in heights.items()), key=lambda item: -item[1])
    return ordered if len(ordered) <= 5 else [ordered[0], ordered[-1]]


def _colors(groups: Sequence[TrialGroup], directions: Mapping[str, Direction]) -> list[str]:
    """Return the color of each line, from blue for the best value of the first objective to red for the worst."""
    name, direction = next(iter(directions.items()))
    means = [group.scores[name].mean for group in groups]
    order = sorted(means, reverse=direction == "higher")
    return [f"hsl({230 - 230 * order.index(mean) / max(1, len(order) - 1):.0f} 65% 45%)" for mean in means]


def _label(group: TrialGroup, directions: Mapping[str, Direction]) -> str:
    return f"#{group.trial_numbers} {_point(group)}: " + ", ".join(
        f"{name} {group.scores[name]}" for name in directions
    )


def _point(group: TrialGroup) -> str:
    return ", ".join(f"{key}={short_number(value)}" for key, value in group.point.items())


def short_number(text: str) -> str:
    """Round a number with many digits, such as an Optuna sampler draws, to four significant digits. Other texts are
    returned unchanged."""
    if len(text) <= MAX_NUMBER_LENGTH:
        return text
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text


def _samples(groups: Sequence[TrialGroup], directions: Mapping[str, Direction]) -> list[PointSamples]:
    name = next(iter(directions))
    found: list[PointSamples] = []
    for group in groups:
        for trial in group.trials:
            path = last_image(trial.folder)
            if path is not None and (uri := file_uri(path)):
                score = f"{name} {group.scores[name]}" if name in group.scores else _states(group)
                found.append(PointSamples(trial, _point(group), score, uri, read_row_names(path)))
                break
        if len(found) == MAX_SAMPLES:
            break
    return found


def _states(group: TrialGroup) -> str:
    return ", ".join(dict.fromkeys(f"{trial.state} {trial.reason}".strip() for trial in group.trials))
