"""Curves as inline SVG: a panel for each name of the record, a thin line for each run, a thick one for the mean of its row."""

from collections.abc import Iterator, Sequence
from html import escape
from math import isfinite

from stylegan_lab.comparison.comparison import Comparison, Row

WIDTH, HEIGHT = 420, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 22
MOST = 150  # points of a line
HUES, DASHES = 10, ("", "6 3", "2 3", "9 3 2 3", "1 5")  # so that fifty rows look different, also without colours
ORDER = ("val", "loss", "ahead", "diversity", "rate", "images_per_second")
Points = Sequence[tuple[float, float]]


def panels(comparison: Comparison) -> dict[str, list[str]]:
    """By the first part of their names."""
    names = dict.fromkeys(name for run in comparison.runs for name in run.curves)
    found: dict[str, list[str]] = {}
    for name in names:
        if drawn := _panel(name, comparison.rows):
            found.setdefault(name.split("/")[0], []).append(drawn)
    return dict(sorted(found.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER)))


def style_of(row: int) -> str:
    """What a row's lines look like, by its number."""
    dash = DASHES[row // HUES % len(DASHES)]
    return f'class="line hue{row % HUES}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _panel(name: str, rows: Sequence[Row]) -> str:
    lines = [(index, list(_lines(name, row))) for index, row in enumerate(rows)]
    values = sorted(y for _, each in lines for points, _ in each for _, y in points)
    longest = max((x for _, each in lines for points, _ in each for x, _ in points), default=0)
    if len(values) < 2 or not longest:
        return ""
    low, high = values[int(0.005 * len(values))], values[int(0.995 * (len(values) - 1))]
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)

    def way(points: Points) -> str:
        return " ".join(
            f"{'M' if index == 0 else 'L'}{LEFT + x / longest * (WIDTH - LEFT - RIGHT):.1f} "
            f"{TOP + (high - min(high, max(low, y))) / (high - low) * (HEIGHT - TOP - BOTTOM):.1f}"
            for index, (x, y) in enumerate(points)
        )

    paths = "".join(
        f'<path {style_of(row)} data-row="{row}"{" data-mean" if is_mean else ""} d="{way(points)}">'
        f"<title>{escape(rows[row].name)}</title></path>"
        for row, each in lines
        for points, is_mean in each
    )
    ticks = "".join(
        f'<text x="{LEFT - 4}" y="{y}" text-anchor="end">{value:.3g}</text>'
        for y, value in ((TOP + 9, high), (HEIGHT - BOTTOM, low))
    )
    bottom = HEIGHT - BOTTOM
    label = f"{escape(name)} over iterations, from {low:.3g} to {high:.3g}"
    return (
        f'<figure class="panel"><figcaption>{escape(name)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" data-longest="{longest:g}">'
        f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}"/>{ticks}<text x="{LEFT}" y="{HEIGHT - 6}">0</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{longest:,.0f}</text>'
        f'<path class="now" d="M{LEFT} {TOP}V{bottom}"/>{paths}</svg></figure>'
    )


def _lines(name: str, row: Row) -> Iterator[tuple[Points, bool]]:
    """Each run's, and the mean where there are several; of a single run its own is the mean."""
    found = [_thinned([(x, y) for x, y in run.curves[name] if isfinite(y)]) for run in row.runs if run.curves.get(name)]
    for points in found if len(found) > 1 else ():
        yield points, False
    shared = set.intersection(*({x for x, _ in points} for points in found)) if found else set()
    if shared:
        by_iteration = [dict(points) for points in found]
        yield [(x, sum(each[x] for each in by_iteration) / len(found)) for x in sorted(shared)], True


def _thinned(points: Points) -> Points:
    """Means of neighbours, where there are more than can be seen."""
    size = -(-len(points) // MOST)
    groups = [points[start : start + size] for start in range(0, len(points), size or 1)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]
