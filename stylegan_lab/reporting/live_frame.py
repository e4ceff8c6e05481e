"""Shows a run in the terminal: status, progress, sparklines of losses and scores, the end of the log and the latest samples."""

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console, Group, OverflowMethod, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stylegan_lab.console import format_seconds
from stylegan_lab.evaluation.metric_direction import ARROWS
from stylegan_lab.reporting.curves import group_index
from stylegan_lab.reporting.live_run import RunSnapshot, WatchedScore

BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
SHOWN_ELSEWHERE = ("lr", "images_per_second")  # groups of curves that get no sparkline
LOG_LINES = 5
OTHER_LINES = 11  # of a frame, besides its curves and the lines of log and warnings
MIN_CURVES, MIN_WIDTH, PADDING = 4, 8, 2
STYLES = {"running": "cyan", "finished": "green", "failed": "red", "missing": "red"}


def frame(snapshot: RunSnapshot, console: Console, height: int | None = None) -> RenderableType:
    """Render a run for the terminal. With a `height`, lines are cut at the console's width, and only the number of curves
    without space is printed."""
    lines = [*(f"! {each}" for each in snapshot.warnings), *snapshot.log[-LOG_LINES:]]
    limit = None if height is None else max(MIN_CURVES, height - OTHER_LINES - len(lines))
    parts: list[RenderableType] = [
        Text(printable(str(snapshot.folder)), "bold"),
        _status(snapshot),
        Text(),
        _curves(snapshot, console, limit),
        Text(f"\nsamples  {printable(str(snapshot.sample)) if snapshot.sample else 'none yet'}"),
    ]
    if lines:
        parts.append(Text("\nlog and warnings", "bold"))
        overflow: OverflowMethod | None = None if height is None else "ellipsis"
        parts += [Text(printable(line), "yellow", no_wrap=bool(overflow) or None, overflow=overflow) for line in lines]
    return Group(*parts)


def sparkline(values: Sequence[float], width: int, blocks: str = BLOCKS) -> str:
    """Draw one block for each value, or for the mean of neighboring values if there are more than `width` values.

    The lowest block is the smallest value, the highest the largest. A gap is a value that is not finite.
    """
    count = min(width, len(values))
    bounds = [round(index * len(values) / count) for index in range(count + 1)] if count else [0]
    groups = [values[start:end] for start, end in pairwise(bounds)]
    means = [sum(group) / len(group) for group in groups]
    finite = [value for value in means if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    scale = (len(blocks) - 1) / (high - low) if high > low else 0.0
    return "".join(blocks[round((value - low) * scale)] if math.isfinite(value) else " " for value in means)


def printable(text: str) -> str:
    """Replace characters that are not printable by `?`, because the terminal would execute control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)


def progress_line(snapshot: RunSnapshot) -> str:
    """Format the status, iteration, durations and speed, such as `running 500 of 1000 0:01:00, 0:01:00 left 31.2 images/s`."""
    record, spent = snapshot.record, snapshot.record.cost.seconds
    left = f"{format_seconds(snapshot.seconds_left)} left" if snapshot.seconds_left is not None else ""
    durations = ", ".join(filter(None, ["" if spent is None else format_seconds(spent), left]))
    pace = "" if snapshot.images_per_second is None else f"{snapshot.images_per_second:.1f} images/s"
    reason = f" ({snapshot.reason})" if snapshot.reason else ""
    of_budget = f"{record.iteration} of {record.max_iterations or '?'}"
    return "  ".join(filter(None, [f"{snapshot.status}{reason}", of_budget, durations, pace]))


def format_score(score: WatchedScore) -> str:
    """Format the latest and the best value, such as `0.52 at 500, best 0.55 ↑`."""
    at = "" if score.iteration is None else f" at {score.iteration}"
    best = "" if score.best is None else f", best {score.best:.4g}"
    arrow = {str(direction): f" {arrow}" for direction, arrow in ARROWS.items()}.get(score.direction or "", "")
    return f"{score.value:.4g}{at}{best}{arrow}"


def _status(snapshot: RunSnapshot) -> RenderableType:
    line = Text(printable(progress_line(snapshot)), STYLES.get(snapshot.status, "yellow"))
    if not snapshot.record.max_iterations:
        return line
    bar = ProgressBar(total=snapshot.record.max_iterations, completed=snapshot.record.iteration, width=60)
    return Group(line, bar)


def _curves(snapshot: RunSnapshot, console: Console, limit: int | None) -> RenderableType:
    """Return a line for each score, followed by a line for each loss and each other logged value."""
    blocks = ASCII_BLOCKS if console.options.ascii_only else BLOCKS
    scores = {score.name: format_score(score) for score in snapshot.scores}
    if console.options.ascii_only:
        scores = {name: text.encode("ascii", "ignore").decode().rstrip() for name, text in scores.items()}
    curves = {
        name: [value for _, value in points]
        for name, points in snapshot.record.curves.items()
        if name.split("/")[0] not in SHOWN_ELSEWHERE
    }
    names = sorted({**scores, **curves}, key=lambda name: (name not in scores, group_index(name)))
    if not names:
        return Text("nothing is logged yet")
    latest = {name: scores.get(name) or f"{curves[name][-1]:.4g}" for name in names}
    width = console.width - max(map(len, names)) - max(map(len, latest.values())) - 3 * PADDING
    table = Table.grid(padding=(0, PADDING))
    for name in names[:limit]:
        line = sparkline(curves.get(name, []), max(MIN_WIDTH, width), blocks)
        table.add_row(Text(printable(name)), Text(line, "cyan"), Text(latest[name]))
    hidden = len(names) - len(names[:limit])
    return (
        Group(table, Text(f"... and {hidden} more: make the window taller, or use --once or --web"))
        if hidden
        else table
    )
