"""The cells of an image grid, and which of its rows show inputs or targets rather than outputs."""

from collections.abc import Iterator, Sequence
from math import gcd
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from stylegan_lab.errors import UserError
from stylegan_lab.images.grid import GAP
from stylegan_lab.images.open_image import open_image

GridCells = Sequence[Sequence[Image.Image]]  # by row and column
MIN_SIZE = 8  # pixels
WHITE = 250  # of 255; the minimum in a gap
MAX_DIFFERENCE = 1.0  # of 255; mean difference up to which two cells count as equal


def split_grid(path: Path, size: int | None = None) -> GridCells:
    """Cut a grid into square cells of `size` pixels or, if that does not fit the grid, of the smallest size that fits."""
    with open_image(path) as file:
        image = file.convert("RGB")
    for side in _cell_sizes(image, size):
        columns, rows = ((length + GAP) // (side + GAP) for length in image.size)
        if _has_gaps(image, side, columns, rows):
            xs, ys = ([index * (side + GAP) for index in range(count)] for count in (columns, rows))
            return [[image.crop((x, y, x + side, y + side)) for x in xs] for y in ys]
    raise UserError(
        "preference_study.not_a_grid", f"{path} is not a grid of square images with white gaps; evaluate its run again"
    )


def equal_rows(grids: Sequence[GridCells]) -> set[int]:
    """Return the rows that are equal in all grids. They show inputs or targets, not outputs of the runs."""
    return {
        index
        for index, (first, *others) in enumerate(zip(*grids, strict=True))
        if all(_is_equal(*cells) for other in others for cells in zip(first, other, strict=True))
    }


def _cell_sizes(image: Image.Image, size: int | None) -> Iterator[int]:
    """Yield the cell sizes for which cells and gaps fill both sides of the image exactly: first `size`, then all in
    ascending order."""
    common = gcd(image.width + GAP, image.height + GAP)
    sizes = [step - GAP for step in range(MIN_SIZE + GAP, common + 1) if common % step == 0]
    yield from [size] if size in sizes and size else []
    yield from sizes


def _has_gaps(image: Image.Image, side: int, columns: int, rows: int) -> bool:
    step = side + GAP
    vertical = [(x * step - GAP, 0, x * step, image.height) for x in range(1, columns)]
    horizontal = [(0, y * step - GAP, image.width, y * step) for y in range(1, rows)]
    return all(low >= WHITE for box in (*vertical, *horizontal) for low, _ in ImageStat.Stat(image.crop(box)).extrema)


def _is_equal(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and max(ImageStat.Stat(ImageChops.difference(a, b)).mean) < MAX_DIFFERENCE
