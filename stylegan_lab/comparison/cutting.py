"""Cutting: the cells of a grid of pictures, and which of its rows were given and which were made."""

from collections.abc import Iterator, Sequence
from math import gcd
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from stylegan_lab.images.grid import GAP
from stylegan_lab.mistake import Mistake

Cells = Sequence[Sequence[Image.Image]]
SMALLEST, WHITE, ALIKE = 8, 250, 1.0  # px; of 255; mean difference of 255


def cells_of(path: Path, size: int | None = None) -> Cells:
    """Square ones, of `size` if that fits."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except OSError:
        raise Mistake(f"{path} cannot be read") from None
    for side in _sides(picture, size):
        across, down = ((length + GAP) // (side + GAP) for length in picture.size)
        if _has_gaps(picture, side, across, down):
            step = side + GAP
            boxes = [
                [(x * step, y * step, x * step + side, y * step + side) for x in range(across)] for y in range(down)
            ]
            return [[picture.crop(box) for box in row] for row in boxes]
    raise Mistake(f"{path} is no grid of square pictures with white lines between them")


def given_rows(grids: Sequence[Cells]) -> set[int]:
    """Rows that show the same in all: inputs and truths, not what the runs made."""
    first = grids[0]
    return {
        index
        for index, row in enumerate(first)
        if all(_alike(row[column], grid[index][column]) for grid in grids[1:] for column in range(len(row)))
    }


def _sides(picture: Image.Image, size: int | None) -> Iterator[int]:
    """Cells and the lines after them divide both sides of the picture; `size` first, then from the smallest."""
    both = gcd(picture.width + GAP, picture.height + GAP)
    able = [step - GAP for step in range(SMALLEST + GAP, both + 1) if both % step == 0]
    yield from [size] if size in able and size else []
    yield from able


def _has_gaps(picture: Image.Image, side: int, across: int, down: int) -> bool:
    step = side + GAP
    upright = [(x * step - GAP, 0, x * step, picture.height) for x in range(1, across)]
    level = [(0, y * step - GAP, picture.width, y * step) for y in range(1, down)]
    return all(low >= WHITE for box in (*upright, *level) for low, _ in ImageStat.Stat(picture.crop(box)).extrema)


def _alike(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and max(ImageStat.Stat(ImageChops.difference(one, other)).mean) < ALIKE
