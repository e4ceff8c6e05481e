"""Several pictures in one: a row for each batch, a column for each of its images."""

from collections.abc import Sequence

import torch
from torch import Tensor

GAP = 2  # pixels


def grid(rows: Sequence[Tensor]) -> Tensor:
    """Batches of equally large images in [-1, 1], white gaps between them: (C, H, W)."""
    lines = [_joined(list(row.detach().float().cpu()), side_by_side=True) for row in rows]
    return _joined(lines, side_by_side=False)


def _joined(images: list[Tensor], side_by_side: bool) -> Tensor:
    axis = 2 if side_by_side else 1
    gap_shape = list(images[0].shape)
    gap_shape[axis] = GAP
    gap = torch.ones(gap_shape)
    parts = [part for image in images for part in (gap, image)][1:]
    return torch.cat(parts, dim=axis)
