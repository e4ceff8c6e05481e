"""A blind judgement: a page that asks which of two unlabelled pictures is better, and a key, kept apart, to what they are."""

import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import lcm
from typing import Any

from PIL import Image

from stylegan_lab.comparison.comparison import Comparison
from stylegan_lab.comparison.cutting import Cells, cells_of, given_rows
from stylegan_lab.comparison.entrant import Entrant
from stylegan_lab.comparison.page import NOTHING, as_script, part
from stylegan_lab.comparison.pictures import encoded, evaluated
from stylegan_lab.comparison.score import Protocol, yardsticks_of
from stylegan_lab.mistake import Mistake
from stylegan_lab.page_style import STYLE

Place = tuple[int, int]  # of a picture in a run's grid


@dataclass(frozen=True)
class Question:
    """Two runs, by their index, at one place; whose picture stands left."""

    place: Place
    left: int
    right: int


def blind(comparison: Comparison, most: int, chance: random.Random) -> tuple[str, dict[str, Any]]:
    """The page, and its key."""
    groups = _groups(comparison)
    grids = _grids(comparison.runs)
    given = given_rows(grids)
    made = [row for row in range(len(grids[0])) if row not in given]
    if not made:
        raise Mistake("the runs' pictures are all the same; nothing is to be judged")
    _check_pictures(comparison.runs, given)
    places = [(row, column) for row in made for column in range(len(grids[0][0]))]
    asked = questions(groups, places, most, chance)
    album = Album()
    told = [
        {
            "id": secrets.token_hex(4),
            "input": album.add(grids[0][above][each.place[1]])
            if (above := _above(each.place[0], given)) is not None
            else None,
            "left": album.of_run(each.left, each.place, grids),
            "right": album.of_run(each.right, each.place, grids),
        }
        for each in asked
    ]
    page_id = secrets.token_hex(8)
    key = {
        "schema": 1,
        "page": page_id,
        "pictures": {
            name: {"run": str(run.folder.resolve()), "identity": run.identity, "row": row, "column": column}
            for (index, (row, column)), name in album.names.items()
            for run in [comparison.runs[index]]
        },
    }
    return _page({"page": page_id, "questions": told, "pictures": dict(sorted(album.pictures.items()))}), key


def questions(
    groups: Sequence[Sequence[int]], places: Sequence[Place], most: int, chance: random.Random
) -> list[Question]:
    """As many of each two groups, whose members are asked about equally often, at places drawn without repetition; each group
    is left half of the time."""
    pairs = list(combinations(groups, 2))
    each = max(1, most // len(pairs))
    asked = [question for one, other in pairs for question in _of_two(one, other, places, each, chance)]
    chance.shuffle(asked)
    return asked


def _of_two(
    one: Sequence[int], other: Sequence[int], places: Sequence[Place], most: int, chance: random.Random
) -> Iterator[Question]:
    """Members and places go round; whoever would meet the same again starts one further, so that nothing is asked twice."""
    one, other = chance.sample(one, len(one)), chance.sample(other, len(other))
    places = chance.sample(places, len(places))
    count = min(most, len(places) * max(len(one), len(other)))
    sides = [number % 2 == 0 for number in range(count)]
    chance.shuffle(sides)
    both, duels = lcm(len(one), len(other)), len(one) * len(other)
    for number, left in enumerate(sides):
        mine, its = one[number % len(one)], other[(number + number % duels // both) % len(other)]
        place = places[(number + number // lcm(duels, len(places))) % len(places)]
        yield Question(place, mine, its) if left else Question(place, its, mine)


class Album:
    """Pictures under names of chance, each once."""

    def __init__(self) -> None:
        self.pictures: dict[str, str] = {}
        self.names: dict[tuple[int, Place], str] = {}
        self._same: dict[str, str] = {}

    def add(self, picture: Image.Image) -> str:
        """One that says nothing of a run."""
        uri = encoded(picture, lossless=True)
        name = self._same.setdefault(uri, secrets.token_hex(6))
        self.pictures[name] = uri
        return name

    def of_run(self, run: int, place: Place, grids: Sequence[Cells]) -> str:
        if (run, place) not in self.names:
            name = self.names[run, place] = secrets.token_hex(6)
            self.pictures[name] = encoded(grids[run][place[0]][place[1]], lossless=True)
        return self.names[run, place]


def _groups(comparison: Comparison) -> list[list[int]]:
    number = {id(run): index for index, run in enumerate(comparison.runs)}
    groups = [[number[id(run)] for run in row.runs] for row in comparison.rows]
    if len(groups) < 2:
        raise Mistake("these runs differ only in their seed; a judgement needs two that differ in more")
    return groups


def _grids(runs: Sequence[Entrant]) -> list[Cells]:
    """What evaluations showed, or else samples of the last iteration that all have."""
    paths = [evaluated(run) for run in runs]
    if None in paths:
        shared = set.intersection(*(set(run.samples) for run in runs))
        if not shared:
            lacking = next(run.folder for run, path in zip(runs, paths, strict=True) if path is None)
            raise Mistake(f"{lacking} has no picture of an evaluation; stylegan-lab evaluate {lacking}")
        paths = [run.samples[max(shared)] for run in runs]
    grids = [cells_of(path, _size(run.config)) for run, path in zip(runs, paths, strict=True) if path is not None]
    shapes = {(len(grid), len(grid[0]), grid[0][0].size) for grid in grids}
    if len(shapes) > 1:
        raise Mistake("the runs' pictures are of different sizes or numbers; judge runs of the same data")
    return grids


def _check_pictures(runs: Sequence[Entrant], given: set[int]) -> None:
    """Translations are judged of the same inputs, and whatever was evaluated towards the same held-out pictures."""
    told = [run.evaluation for run in runs if run.evaluation]
    plain = [Protocol({}, yardsticks_of(each)) for each in told]
    lacks_inputs = any(each.get("untranslated") for each in told) and 0 not in given
    if told and (not given or lacks_inputs or not all(each.agrees(plain[0]) for each in plain)):
        raise Mistake("the runs were evaluated on different pictures; judge runs of the same data")


def _size(config: Mapping[str, Any] | None) -> int | None:
    size = ((config or {}).get("data") or {}).get("size")
    return size if isinstance(size, int) else None


def _above(row: int, given: set[int]) -> int | None:
    """The input of a row is the nearest given one above it."""
    return max((each for each in given if each < row), default=None)


def _page(told: Mapping[str, Any]) -> str:
    count = len(told["questions"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{NOTHING}">
<title>Which is better?</title><style>{STYLE}{part("page.css")}{part("blind.css")}</style></head>
<body><main>
<h1>Which is better?</h1>
<form id="start"><p>You will be shown two pictures at a time, {count} times. Say which one is better, or that you see no difference.
Your answers stay in this page until you save them to a file, which you then send back.</p>
<div class="controls"><label>Your name <input id="judge" autocomplete="off" required></label> <button>Begin</button></div></form>
<section id="asking" hidden aria-label="question">
<div class="controls"><progress id="progress" max="{count}" value="0" aria-label="answered"></progress>
<output id="count" aria-live="polite"></output></div>
<div class="two"><button type="button" data-choice="left"><img alt="left picture"><span>Left <kbd>&larr;</kbd></span></button>
<figure id="given"><figcaption>made from</figcaption><img alt="what both were made from"></figure>
<button type="button" data-choice="right"><img alt="right picture"><span>Right <kbd>&rarr;</kbd></span></button></div>
<div class="controls"><button type="button" data-choice="tie">No difference <kbd>&darr;</kbd></button>
<button type="button" id="back">Back <kbd>&uarr;</kbd></button></div></section>
<section id="end" aria-label="the end" hidden><p id="thanks"></p></section>
<div class="controls" id="keeping" hidden><button type="button" id="save">Save answers to a file</button>
<button type="button" id="another" hidden>Another judge</button> <span id="saved" role="status"></span></div>
</main>
<script type="application/json" id="told">{as_script(told)}</script>
<script>{part("blind.js")}</script>
</body></html>
"""
