"""Curves of runs as SVG paths. Each logged name has a panel, with a thin line for each run and a thick line for the mean of
each row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, log
from types import SimpleNamespace

from stylegan_lab.reporting.comparison import ComparisonTableRow
from stylegan_lab.reporting.statistics import mean

MAX_POINTS = 150  # of a line
LOG_RATIO = 8  # of the longest and the shortest line of a panel, above which its axis of iterations is logarithmic
GROUP_ORDER = ("val", "loss", "d_win_rate", "ada_p", "diversity", "lr", "images_per_second")
# The size of a panel in SVG units, and the edges of its axes.
PLOT = SimpleNamespace(width=420, height=200, left=52, right=412, top=8, bottom=178)
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class CurveLine:
    row: int
    is_mean: bool
    path: str  # SVG path data


@dataclass(frozen=True)
class CurvePanel:
    name: str
    lines: Sequence[CurveLine]
    low: float
    high: float
    min_iteration: float
    max_iteration: float
    is_log: bool  # whether the axis of iterations is logarithmic, from `min_iteration`; else it starts at 0

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """The iterations that label the horizontal axis, with their positions."""
        first = self.min_iteration if self.is_log else 0.0
        return [(each, self.x(each)) for each in (first, self.max_iteration)]

    def x(self, iteration: float) -> float:
        low, high = self.min_iteration, self.max_iteration
        share = log(max(iteration, low) / low) / log(high / low) if self.is_log else iteration / high
        return float(PLOT.left + share * (PLOT.right - PLOT.left))


def curve_panels(rows: Sequence[ComparisonTableRow]) -> dict[str, list[CurvePanel]]:
    """Return the panels, grouped by the first part of the logged name, such as `val` of val/fid."""
    groups: dict[str, list[CurvePanel]] = {}
    for name in dict.fromkeys(name for row in rows for run in row.runs for name in run.curves):
        if panel := _panel(name, rows):
            groups.setdefault(name.split("/")[0], []).append(panel)
    return dict(sorted(groups.items(), key=lambda item: group_index(item[0])))


def group_index(name: str) -> int:
    """The position of a curve's group on the page. The first part of the curve's name is its group."""
    group = name.split("/")[0]
    return GROUP_ORDER.index(group) if group in GROUP_ORDER else len(GROUP_ORDER)


def _panel(name: str, rows: Sequence[ComparisonTableRow]) -> CurvePanel | None:
    lines = [(index, points, is_mean) for index, row in enumerate(rows) for points, is_mean in _lines(name, row)]
    values = sorted(y for _, points, _ in lines for _, y in points)
    ends = [points[-1][0] for _, points, _ in lines if points]
    max_iteration = max(ends, default=0)
    min_iteration = min((x for _, points, _ in lines for x, _ in points if x), default=0)
    if len(values) < 2 or not max_iteration:
        return None
    outliers = int(0.005 * len(values))  # at each end, which are clipped
    low, high = values[outliers], values[-1 - outliers]
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    panel = CurvePanel(name, [], low, high, min_iteration, max_iteration, max(ends) > LOG_RATIO * min(ends) > 0)

    def path(points: Points) -> str:
        return " ".join(
            f"{'M' if index == 0 else 'L'}{panel.x(x):.1f} "
            f"{PLOT.top + (high - min(high, max(low, y))) / (high - low) * (PLOT.bottom - PLOT.top):.1f}"
            for index, (x, y) in enumerate(points)
        ) + (" h-6" if len(points) == 1 else "")  # a single point is a dash; it would be invisible

    drawn = [CurveLine(row, is_mean, path(points)) for row, points, is_mean in lines]
    return replace(panel, lines=drawn)


def _lines(name: str, row: ComparisonTableRow) -> Iterator[tuple[Points, bool]]:
    """Return the points of each run and of their mean. If a row has only one run, that run is the mean."""
    recorded = [run.curves[name] for run in row.runs if run.curves.get(name)]
    curves = [_thinned([(x, y) for x, y in points if isfinite(y)]) for points in recorded]
    for points in curves if len(curves) > 1 else ():
        yield points, False
    by_iteration = [dict(points) for points in curves]
    if shared := set.intersection(*map(set, by_iteration)) if curves else set():
        yield [(x, mean([each[x] for each in by_iteration])) for x in sorted(shared)], True


def _thinned(points: Points) -> Points:
    """Replace neighboring points by their means if there are more than MAX_POINTS."""
    size = -(-len(points) // MAX_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size or 1)]
    return [(group[-1][0], mean([y for _, y in group])) for group in groups]
