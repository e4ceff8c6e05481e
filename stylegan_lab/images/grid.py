"""Several pictures in one: a row for each batch, a column for each of its images."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

GAP = 2  # pixels


def grid(rows: Sequence[Tensor]) -> Tensor:
    """Batches of images in [-1, 1], white gaps between them: (C, H, W). Smaller ones are shown as large as the largest, and short
    rows end in white."""
    rows = [_visible(row) for row in rows]
    columns = max(len(row) for row in rows)
    largest = max((row.shape[-2:] for row in rows), key=sum)
    alike = [row if row.shape[-2:] == largest else F.interpolate(row, largest, mode="nearest") for row in rows]
    full = [F.pad(row.detach().float().cpu(), (0, 0, 0, 0, 0, 0, 0, columns - len(row)), value=1.0) for row in alike]
    lines = [_joined(list(row), side_by_side=True) for row in full]
    return _joined(lines, side_by_side=False)


def cells(picture: Image.Image, rows: int, columns: int) -> list[list[Image.Image]]:
    """A grid taken apart again."""
    wide, high = (picture.width + GAP) // columns, (picture.height + GAP) // rows
    return [
        [picture.crop((x * wide, y * high, (x + 1) * wide - GAP, (y + 1) * high - GAP)) for x in range(columns)]
        for y in range(rows)
    ]


def _visible(row: Tensor) -> Tensor:
    """Gray, colour or with alpha; of other channels the first."""
    channels = row.shape[1]
    return row if channels in (1, 3, 4) else row[:, : 3 if channels > 4 else 1]


def _joined(images: list[Tensor], side_by_side: bool) -> Tensor:
    axis = 2 if side_by_side else 1
    gap_shape = list(images[0].shape)
    gap_shape[axis] = GAP
    gap = torch.ones(gap_shape)
    parts = [part for image in images for part in (gap, image)][1:]
    return torch.cat(parts, dim=axis)
