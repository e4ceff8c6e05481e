"""The page of a comparison: table, curves, samples and settings in one file that asks nothing of any network."""

import time
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stylegan_lab.comparison.as_json import as_json
from stylegan_lab.comparison.columns import LEVEL, Cell
from stylegan_lab.comparison.comparison import Comparison, Row
from stylegan_lab.comparison.curves import panels, style_of
from stylegan_lab.comparison.entrant import Entrant
from stylegan_lab.comparison.judgement import Judgement
from stylegan_lab.comparison.pictures import Stop, stops
from stylegan_lab.comparison.table import COSTS, costs_of
from stylegan_lab.page_style import STYLE

MOST_SETTINGS = 8  # in the table; more stand in their own
NOTHING = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"  # may be fetched
OPEN = ("val", "loss")
SAID = {
    "best": "best",
    "alike": f"not told apart from the best (p >= {LEVEL})",
    "apart": "worse than the best",
    "untested": "too few seeds to be held against the best",
    "elsewhere": "by another protocol: not compared",
    "unranked": "",
}


def page(comparison: Comparison) -> str:
    shown = stops(comparison.runs)
    runs, rows = len(comparison.runs), len(comparison.rows)
    sections = {
        "Scores and cost": _scores(comparison),
        "Samples": _samples(comparison, shown) if shown else "",
        "Curves": _curves(comparison),
        "Settings": _settings(comparison),
        "Runs": _runs(comparison),
    }
    there = {f"part-{index}": part for index, part in enumerate(sections.items()) if part[1]}
    links = " ".join(f'<a href="#{place}">{name}</a>' for place, (name, _) in there.items())
    parts = "\n".join(
        f'<section id="{place}"><h2>{name}</h2>\n{body}</section>' for place, (name, body) in there.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{NOTHING}">
<title>{runs} runs compared</title><style>{STYLE}{part("page.css")}</style></head>
<body><header><h1>{runs} runs compared</h1>
<p class="soft">In {rows} rows: runs that differ only in their seed are one. Made on {time.strftime("%Y-%m-%d")}.</p>
<nav aria-label="parts of this page">{links}</nav></header>
<main>
{parts}
</main>
<script type="application/json" id="told">{as_script(_told(comparison, shown))}</script>
<script>{part("page.js")}</script>
</body></html>
"""


def part(name: str) -> str:
    """A file that stands beside this one."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def as_script(told: Any) -> str:
    return as_json(told).replace("<", "\\u003c")


def _scores(comparison: Comparison) -> str:
    settings = comparison.differences.shown
    settings = settings if len(settings) <= MOST_SETTINGS else ()
    heads = ["<th>Draw</th>", _head("runs", "runs", "first"), *(_head(key, key) for key in settings)]
    heads.append(_head("seeds", "seeds", "number"))
    for each in comparison.columns:
        heads.append(_head(each.name, each.head(comparison.columns), "number", each.better or ""))
    heads += [_head("preferred", "preferred ↑", "number", "higher")] if comparison.judgement else []
    heads += [_head(name, name, "number") for name in costs_of(comparison)]
    rows = "".join(_row(comparison, index, settings) for index in range(len(comparison.rows)))
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    return f"""<div class="controls">
<label>Filter <input id="filter" type="search" placeholder="words, key=value, ssim&gt;0.4" autocomplete="off"></label>
<output id="count" aria-live="polite"></output></div>
{_table("scores and cost", "".join(heads), rows, "table")}
<ul class="notes">{notes}</ul>"""


def _table(label: str, heads: str, rows: str, name: str) -> str:
    """One that can be wider than the window, and is moved by arrow keys then."""
    head = f"<thead><tr>{heads}</tr></thead>" if heads else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'
        f'<table id="{name}">{head}<tbody>{rows}</tbody></table></div>'
    )


def _head(key: str, text: str, kind: str = "", better: str = "") -> str:
    button = f'<button type="button">{escape(text)}</button>'
    return f'<th scope="col" class="{kind}" data-key="{escape(key)}" data-better="{better}">{button}</th>'


def _row(comparison: Comparison, index: int, settings: Sequence[str]) -> str:
    row = comparison.rows[index]
    state = "" if row.state == "done" else f' <small class="soft">{escape(row.state)}</small>'
    name = escape(row.name)
    cells = [
        f'<td><input type="checkbox" checked aria-label="draw {name}"></td>',
        f'<th scope="row" data-value="{name}">{_swatch(index)}{name}{state}</th>',
        *(f'<td class="value">{escape(row.settings.get(key, ""))}</td>' for key in settings),
        f'<td class="number" data-value="{len(row.runs)}">{len(row.runs)}</td>',
        *(_score(each.cells[index], len(row.runs)) for each in comparison.columns),
    ]
    cells += [_preferred(comparison.judgement, index)] if comparison.judgement else []
    for cost in costs_of(comparison):
        value = row.mean_cost(COSTS[cost].name)
        cells.append(f'<td class="number" data-value="{"" if value is None else value}">{COSTS[cost].told(value)}</td>')
    return f'<tr data-row="{index}">{"".join(cells)}</tr>'


def _swatch(index: int) -> str:
    return f'<svg class="swatch" viewBox="0 0 34 12" aria-hidden="true"><path {style_of(index)} d="M1 6H33"/></svg>'


def _score(cell: Cell | None, runs: int) -> str:
    if cell is None:
        return '<td class="number" data-value=""></td>'
    said = [SAID[cell.standing]]
    said += [f"Welch p = {cell.chance:.2g} after Holm"] if cell.chance is not None else []
    said += [f"exact p = {cell.exact:.2g}"] if cell.exact is not None else []
    told = f"{', '.join(said)} [{', '.join(f'{value:.6g}' for value in cell.values)}]"
    kind = f'class="number {cell.standing}" data-value="{repr(cell.spread.mean) if cell.is_finite else ""}"'
    return f'<td {kind} title="{escape(told)}">{escape(cell.told(runs))}</td>'


def _preferred(judgement: Judgement, index: int) -> str:
    rate = judgement.rates[index]
    if rate is None:
        return '<td class="number" data-value=""></td>'
    duels = [(other, duel) for (one, other), duel in judgement.duels.items() if one == index]
    against = ", ".join(f"{duel.mean:.2f} against row {other + 1} ({duel.n})" for other, duel in duels)
    said = f"{SAID[rate.standing]}; of {rate.n} votes; {against}; Bradley-Terry {judgement.strengths[index]:.2f}"
    kind = f'class="number {rate.standing}" data-value="{rate.mean!r}"'
    return f'<td {kind} title="{escape(said)}">{escape(str(rate))}</td>'


def _samples(comparison: Comparison, shown: Sequence[Stop]) -> str:
    number = {id(run): index for index, run in enumerate(comparison.runs)}
    figures = "".join(
        _figure(index, row, [number[id(run)] for run in row.runs]) for index, row in enumerate(comparison.rows)
    )
    last = len(shown) - 1
    return f"""<div class="controls"><label>Iteration
<input id="slider" type="range" min="0" max="{last}" step="1" value="{last}"></label> <output id="at" for="slider"></output>
<label>Size <input id="across" type="range" min="200" max="1400" step="40" value="440"></label></div>
<div class="samples" id="samples">{figures}</div>"""


def _figure(index: int, row: Row, numbers: Sequence[int]) -> str:
    name = escape(row.name)
    options = "".join(
        f'<option value="{number}">seed {run.seed} ({escape(run.folder.name)})</option>'
        for number, run in zip(numbers, row.runs, strict=True)
    )
    choice = f'<select aria-label="which run of {name}">{options}</select>' if len(numbers) > 1 else ""
    settings = [f"{key}={value}" for key, value in row.settings.items() if value]
    told = escape(", ".join(settings)) if len(settings) <= MOST_SETTINGS else ""
    return (
        f'<figure data-row="{index}" data-run="{numbers[0]}"><figcaption>{_swatch(index)}<b>{name}</b> {choice} {told}'
        '</figcaption><img alt="" hidden><div class="none"></div></figure>'
    )


def _curves(comparison: Comparison) -> str:
    groups = "".join(
        f"<details{' open' if name in OPEN else ''}><summary>{escape(name)} ({len(each)})</summary>"
        f'<div class="panels">{"".join(each)}</div></details>'
        for name, each in panels(comparison).items()
    )
    return f"""<p class="soft">Thick: the mean over a row's seeds; thin: each run. A row's lines stand out while it is pointed at,
or has the focus, in the table. The dashed line is the iteration of the samples.</p>{groups or "<p>Nothing was recorded.</p>"}"""


def _settings(comparison: Comparison) -> str:
    differences, rows = comparison.differences, comparison.rows
    same = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td class="value">{escape(value)}</td></tr>'
        for key, value in differences.same.items()
    )
    common = (
        f"<details><summary>The same in all ({len(differences.same)})</summary>"
        f"{_table('settings that are the same', '', same, 'same')}</details>"
    )
    if not differences.shown:
        return f"<p>No setting differs but the seed.</p>{common}"
    names = [escape(row.name) for row in rows]
    heads = "".join(f'<th scope="col" data-column="{index}">{name}</th>' for index, name in enumerate(names))
    options = "".join(f'<option value="{index}">{name}</option>' for index, name in enumerate(names))
    keys = [*differences.shown, *differences.implied]
    body = "".join(f'<tr><th scope="row">{escape(key)}</th>{_values(key, rows)}</tr>' for key in keys)
    return f"""<div class="controls"><label>Held against <select id="reference">{options}</select></label></div>
{_table("settings that differ", f'<th class="first">setting</th>{heads}', body, "settings")}{common}"""


def _values(key: str, rows: Sequence[Row]) -> str:
    return "".join(
        f'<td class="value" data-column="{index}">{escape(row.settings.get(key, ""))}</td>'
        for index, row in enumerate(rows)
    )


def _runs(comparison: Comparison) -> str:
    heads = "".join(f'<th scope="col">{head}</th>' for head in RUN)
    rows = "".join(
        f'<tr><th scope="row">{escape(str(run.folder))}</th>'
        + "".join(f'<td class="value">{escape(str(tell(run)))}</td>' for tell in RUN.values())
        + "</tr>"
        for row in comparison.rows
        for run in row.runs
    )
    return _table("runs", f'<th class="first">folder</th>{heads}', rows, "runs")


RUN: dict[str, Callable[[Entrant], Any]] = {
    "seed": lambda run: "" if run.seed is None else run.seed,
    "state": lambda run: run.state,
    "iteration": lambda run: f"{run.iteration:,}",
    "commit": lambda run: (run.environment.get("commit") or "")[:8],
    "hardware": lambda run: run.cost.hardware,
    "remarks": lambda run: "; ".join(run.faults),
}


def _told(comparison: Comparison, shown: Sequence[Stop]) -> dict[str, Any]:
    """What the script needs to know."""
    return {
        "rows": [
            {
                "words": _words(row),
                "values": {each.name: cell.spread.mean for each in comparison.columns if (cell := each.cells[index])},
            }
            for index, row in enumerate(comparison.rows)
        ],
        "runs": [str(run.folder) for run in comparison.runs],
        "stops": [{"name": stop.name, "pictures": stop.pictures} for stop in shown],
    }


def _words(row: Row) -> str:
    """What a filter looks through."""
    return " ".join([row.name, row.state, *(f"{key}={value}" for key, value in row.settings.items() if value)]).lower()
