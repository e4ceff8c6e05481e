"""A preference study: a page that shows two unlabeled images at a time, and a separate key that says which run made which."""

import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import lcm
from typing import Any

from PIL import Image

from stylegan_lab.errors import UserError
from stylegan_lab.reporting.comparison import RunComparison
from stylegan_lab.reporting.html_page import evaluation_image, image_uri, render_page
from stylegan_lab.reporting.preference_study.grid_cells import GridCells, equal_rows, split_grid
from stylegan_lab.reporting.run_record import RunRecord
from stylegan_lab.reporting.score_protocol import ScoreProtocol, reference_scores

CellPosition = tuple[int, int]  # row and column in a run's grid


@dataclass(frozen=True)
class PreferenceQuestion:
    """A question compares the same cell in the grids of two runs, given by their indices. The run `left` is shown on the left."""

    cell: CellPosition
    left: int
    right: int


def build_study(comparison: RunComparison, num_questions: int, rng: random.Random) -> tuple[str, dict[str, Any]]:
    """Build the HTML page of a study, and the key that says which run made which image."""
    groups = comparison.run_indices
    if len(groups) < 2:
        raise UserError(
            "preference_study.same_settings",
            "these runs differ only in their seed; a preference study compares runs with different settings",
        )
    grids = _grids(comparison.runs)
    inputs = equal_rows(grids)
    outputs = [row for row in range(len(grids[0])) if row not in inputs]
    if not outputs:
        raise UserError(
            "preference_study.equal_images",
            "the images of these runs are all equal, so there is nothing to choose between; compare other runs",
        )
    _check_same_images(comparison.runs, inputs)
    cells = [(row, column) for row in outputs for column in range(len(grids[0][0]))]
    images = ImageCollection()
    questions = []
    for question in sample_questions(groups, cells, num_questions, rng):
        row, column = question.cell
        above = max((each for each in inputs if each < row), default=None)  # the input is the nearest shared row above
        questions.append(
            {
                "id": secrets.token_hex(4),
                "input": None if above is None else images.add(grids[0][above][column]),
                "left": images.add_output(question.left, question.cell, grids),
                "right": images.add_output(question.right, question.cell, grids),
            }
        )
    page_id = secrets.token_hex(8)
    sources = {
        name: {"run": str(run.folder.resolve()), "run_id": run.run_id, "row": row, "column": column}
        for (index, (row, column)), name in images.outputs.items()
        for run in [comparison.runs[index]]
    }
    key = {"schema": 1, "page": page_id, "images": sources}
    # Sorted by their random names, so that the order does not reveal the runs.
    data = {"page": page_id, "questions": questions, "images": dict(sorted(images.uris.items()))}
    return render_page("preference_study.html.j2", data=data), key


def sample_questions(
    groups: Sequence[Sequence[int]], cells: Sequence[CellPosition], num_questions: int, rng: random.Random
) -> list[PreferenceQuestion]:
    """Draw the same number of questions for each pair of groups. The runs of a group occur equally often, cells are drawn
    without repetition, and each group of a pair is on the left in half of the pair's questions."""
    pairs = list(combinations(groups, 2))
    per_pair = max(1, num_questions // len(pairs))
    questions = [
        question for first, second in pairs for question in _questions_between(first, second, cells, per_pair, rng)
    ]
    rng.shuffle(questions)
    return questions


def _questions_between(
    first: Sequence[int], second: Sequence[int], cells: Sequence[CellPosition], limit: int, rng: random.Random
) -> Iterator[PreferenceQuestion]:
    """Draw questions between two groups. Runs and cells are used in rotation, with an offset after each full cycle, so that
    no question occurs twice."""
    first, second = rng.sample(first, len(first)), rng.sample(second, len(second))
    cells = rng.sample(cells, len(cells))
    count = min(limit, len(cells) * max(len(first), len(second)))
    first_is_left = [number % 2 == 0 for number in range(count)]
    rng.shuffle(first_is_left)
    cycle, num_pairs = lcm(len(first), len(second)), len(first) * len(second)
    for number, is_left in enumerate(first_is_left):
        a, b = first[number % len(first)], second[(number + number % num_pairs // cycle) % len(second)]
        cell = cells[(number + number // lcm(num_pairs, len(cells))) % len(cells)]
        yield PreferenceQuestion(cell, a, b) if is_left else PreferenceQuestion(cell, b, a)


class ImageCollection:
    """The images of a page as data URIs under random names; each image is stored once."""

    def __init__(self) -> None:
        self.uris: dict[str, str] = {}
        self.outputs: dict[tuple[int, CellPosition], str] = {}
        self._names: dict[str, str] = {}

    def add(self, image: Image.Image) -> str:
        """Add an image that is the same for all runs, and return its name."""
        uri = image_uri(image, lossless=True)
        name = self._names.setdefault(uri, secrets.token_hex(6))
        self.uris[name] = uri
        return name

    def add_output(self, run: int, cell: CellPosition, grids: Sequence[GridCells]) -> str:
        if (run, cell) not in self.outputs:
            name = self.outputs[run, cell] = secrets.token_hex(6)
            self.uris[name] = image_uri(grids[run][cell[0]][cell[1]], lossless=True)
        return self.outputs[run, cell]


def _grids(runs: Sequence[RunRecord]) -> list[GridCells]:
    """Return the image grids of the latest evaluations or, without evaluations, the samples of the last iteration that all
    runs have."""
    paths = [evaluation_image(run.folder) for run in runs]
    if None in paths:
        shared = set.intersection(*(set(run.samples) for run in runs))
        if not shared:
            folder = next(run.folder for run, path in zip(runs, paths, strict=True) if path is None)
            raise UserError(
                "preference_study.no_images",
                f"{folder} has no images from an evaluation; run stylegan-lab evaluate {folder}",
            )
        paths = [run.samples[max(shared)] for run in runs]
    sizes = [((run.config or {}).get("data") or {}).get("size") for run in runs]
    grids = [split_grid(path, size) for path, size in zip(paths, sizes, strict=True) if path is not None]
    shapes = {(len(grid), len(grid[0]), grid[0][0].size) for grid in grids}
    if len(shapes) > 1:
        raise UserError(
            "preference_study.grids_differ",
            "the images of these runs differ in size or number; compare runs of the same data",
        )
    return grids


def _check_same_images(runs: Sequence[RunRecord], inputs: set[int]) -> None:
    """Refuse translations of different inputs, and runs that were evaluated on different held-out images."""
    evaluations = [run.evaluation for run in runs if run.evaluation]
    protocols = [ScoreProtocol({}, reference_scores(each)) for each in evaluations]
    lacks_inputs = any(each.get("untranslated") for each in evaluations) and 0 not in inputs
    if evaluations and (not inputs or lacks_inputs or not all(each.matches(protocols[0]) for each in protocols)):
        raise UserError(
            "preference_study.different_images",
            "these runs were evaluated on different images; compare runs of the same data",
        )
