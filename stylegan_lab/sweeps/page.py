"""The page of a sweep: parallel coordinates, importance and the table, in one file that asks nothing of any network."""

import html
from collections.abc import Mapping, Sequence

from stylegan_lab.better import SIGNS, Better
from stylegan_lab.page_style import STYLE
from stylegan_lab.sweeps.spread import Group

WIDTH, HEIGHT, MARGIN = 960, 320, 60
OWN_STYLE = """
svg { width: 100%; height: auto } text { font-size: 11px; fill: var(--soft) } .name { font-weight: bold }
path { fill: none; stroke-width: 1.5; opacity: .7 } path:hover, .best { stroke-width: 3.5; opacity: 1 }
.axis { stroke: var(--soft) } .bar { fill: var(--hue0) } .best td { font-weight: bold }
"""


def page(
    name: str,
    groups: Sequence[Group],
    best: Sequence[Group],
    directions: Mapping[str, Better],
    shares: Mapping[str, Mapping[str, float]],
) -> str:
    chosen = [group.trials for group in best]
    marked = [(group, group.trials in chosen) for group in groups]
    bars = "".join(_bars(score, each, len(groups)) for score, each in shares.items() if each)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(name)}</title><style>{STYLE}{OWN_STYLE}</style>
<h1>{html.escape(name)}</h1>
<h2>Parallel coordinates</h2>
<p>A line is a point: its settings, then its scores (the mean over its seeds). From blue, the best by the first score, to red.</p>
{parallel_coordinates(marked, directions)}
<h2>Importance</h2>
{bars or "<p>Nothing is said of fewer than four points.</p>"}
<h2>Trials</h2>
{_table(marked, directions)}
</html>
"""


def parallel_coordinates(marked: Sequence[tuple[Group, bool]], directions: Mapping[str, Better]) -> str:
    able = [(group, best) for group, best in marked if all(name in group.scores for name in directions)]
    if not able:
        return "<p>No point has been scored.</p>"
    settings = list(dict.fromkeys(key for group, _ in able for key in group.trials[0].point))
    columns = {key: [group.trials[0].point.get(key, "") for group, _ in able] for key in settings}
    for name, better in directions.items():
        columns[f"{name} {SIGNS[better]}"] = [f"{group.scores[name].mean:.4g}" for group, _ in able]
    across = [MARGIN + index * (WIDTH - 2 * MARGIN) / max(1, len(columns) - 1) for index in range(len(columns))]
    heights, axes = [], []
    for x, (name, values) in zip(across, columns.items(), strict=True):
        places = _places(values)
        heights.append([_y(places[value]) for value in values])
        axes.append(_axis(x, name, places))
    lines = []
    for (group, is_best), ys, colour in zip(able, zip(*heights, strict=True), _colours(able, directions), strict=True):
        way = " L".join(f"{x:.0f} {y:.1f}" for x, y in zip(across, ys, strict=True))
        told = html.escape(_told(group, directions))
        kind = ' class="best"' if is_best else ""
        lines.append(f'<path{kind} stroke="{colour}" d="M{way}"><title>{told}</title></path>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(axes)}{"".join(lines)}</svg>'


def _axis(x: float, name: str, places: Mapping[str, float]) -> str:
    line = f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{MARGIN}" y2="{HEIGHT - MARGIN}" class="axis"/>'
    head = f'<text class="name" x="{x:.0f}" y="{MARGIN - 20}" text-anchor="middle">{html.escape(name)}</text>'
    ticks = [
        f'<text x="{x + 5:.0f}" y="{_y(place) + 4:.0f}">{html.escape(value)}</text>' for value, place in _ends(places)
    ]
    return "".join([line, head, *ticks])


def _bars(score: str, shares: Mapping[str, float], points: int) -> str:
    rows = "".join(
        f'<text x="250" y="{20 * index + 15}" text-anchor="end">{html.escape(key)}</text>'
        f'<rect x="260" y="{20 * index + 4}" width="{500 * share:.1f}" height="14" class="bar"/>'
        f'<text x="{265 + 500 * share:.1f}" y="{20 * index + 15}">{share:.2f}</text>'
        for index, (key, share) in enumerate(shares.items())
    )
    return (
        f"<p>Share of the variance of ranks by {html.escape(score)} that a setting explains alone, corrected for chance, over "
        f'{points} points: epsilon squared of ranks, not fANOVA.</p><svg viewBox="0 0 '
        f'{WIDTH} {20 * len(shares) + 10}" role="img">{rows}</svg>'
    )


def _table(marked: Sequence[tuple[Group, bool]], directions: Mapping[str, Better]) -> str:
    names = list(dict.fromkeys([*directions, *(name for group, _ in marked for name in group.scores)]))
    settings = list(dict.fromkeys(key for group, _ in marked for key in group.trials[0].point))
    rows = []
    for group, best in marked:
        point = group.trials[0].point
        states = ", ".join(dict.fromkeys(f"{trial.state} {trial.reason}".strip() for trial in group.trials))
        cells = [
            " ".join(str(trial.number) for trial in group.trials),
            *(point.get(key, "") for key in settings),
            states,
        ]
        cells += [str(group.scores[name]) if name in group.scores else "" for name in names]
        rows.append(
            f"<tr{' class=best' if best else ''}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        )
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in ["#", *settings, "state", *names])
    return f"<table><tr>{heads}</tr>{''.join(rows)}</table>"


def _places(values: Sequence[str]) -> dict[str, float]:
    """Where each value stands on its axis, from 0 to 1: numbers to scale, names in their order."""
    try:
        numbers = {value: float(value) for value in values}
    except ValueError:
        names = list(dict.fromkeys(values))
        return {name: (index + 0.5) / len(names) for index, name in enumerate(names)}
    low, high = min(numbers.values()), max(numbers.values())
    return {value: (number - low) / (high - low) if high > low else 0.5 for value, number in numbers.items()}


def _ends(places: Mapping[str, float]) -> list[tuple[str, float]]:
    """What an axis has room to write: all of a few values, else the first and the last."""
    ordered = sorted(places.items(), key=lambda item: item[1])
    return ordered if len(ordered) <= 5 else [ordered[0], ordered[-1]]


def _y(place: float) -> float:
    return HEIGHT - MARGIN - place * (HEIGHT - 2 * MARGIN)


def _colours(able: Sequence[tuple[Group, bool]], directions: Mapping[str, Better]) -> list[str]:
    """By rank in the first score."""
    name, better = next(iter(directions.items()))
    scores = [group.scores[name].mean for group, _ in able]
    order = sorted(scores, reverse=better == "higher")
    return [f"hsl({230 - 230 * order.index(score) / max(1, len(order) - 1):.0f} 65% 45%)" for score in scores]


def _told(group: Group, directions: Mapping[str, Better]) -> str:
    point = ", ".join(f"{key}={value}" for key, value in group.trials[0].point.items())
    return f"#{group.trials[0].number} {point}: " + ", ".join(f"{name} {group.scores[name]}" for name in directions)
