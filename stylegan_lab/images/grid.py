"""Image grids: one row for each batch, one column for each image of a batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

GAP = 2  # white pixels between cells


def grid(rows: Sequence[Tensor]) -> Tensor:
    """Arrange batches of images in [-1, 1] as rows of one image (C, H, W).

    Smaller images are enlarged to the size of the largest, and short rows are filled with white. If images are not gray, RGB or
    RGBA, only their first channels are shown.
    """
    rows = [row if row.shape[1] in (1, 3, 4) else row[:, : 3 if row.shape[1] > 4 else 1] for row in rows]
    columns = max(len(row) for row in rows)
    largest = max((row.shape[-2:] for row in rows), key=sum)
    resized = [row if row.shape[-2:] == largest else F.interpolate(row, largest, mode="nearest") for row in rows]
    filled = [F.pad(row.detach().float().cpu(), (0,) * 7 + (columns - len(row),), value=1.0) for row in resized]
    return _concatenate([_concatenate(list(row), dim=2) for row in filled], dim=1)


def split_cells(image: Image.Image, rows: int, columns: int) -> list[list[Image.Image]]:
    """Split a grid image into its cells, row by row."""
    width, height = (image.width + GAP) // columns, (image.height + GAP) // rows
    return [
        [image.crop((x * width, y * height, (x + 1) * width - GAP, (y + 1) * height - GAP)) for x in range(columns)]
        for y in range(rows)
    ]


def _concatenate(images: list[Tensor], dim: int) -> Tensor:
    gap = torch.ones_like(images[0].narrow(dim, 0, 1)).repeat_interleave(GAP, dim)
    return torch.cat([part for image in images for part in (gap, image)][1:], dim=dim)
