"""Warping: every picture by a matrix of its own, in plain gathers, so that second derivatives exist everywhere."""

import torch
from torch import Tensor


def warped(images: Tensor, matrices: Tensor) -> Tensor:
    """Where each place of the result is fetched: `matrices` (N, 3, 3) act on (x, y, 1) in pixels from the middle. Bilinear; what
    lies outside is mirrored."""
    n, channels, height, width = images.shape
    x = torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2
    y = torch.arange(height, device=images.device, dtype=images.dtype) - (height - 1) / 2
    places = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width).to(images)]).flatten(1)
    fetched = matrices @ places
    columns = _mirrored(fetched[:, 0] + (width - 1) / 2, width)
    rows = _mirrored(fetched[:, 1] + (height - 1) / 2, height)
    left, above = columns.floor().clamp(0, width - 1), rows.floor().clamp(0, height - 1)
    flat, result = images.flatten(2), torch.zeros_like(images).flatten(2)
    for down in (0, 1):
        for right in (0, 1):
            share_x = (columns - left) if right else 1 - (columns - left)
            share_y = (rows - above) if down else 1 - (rows - above)
            index = (above + down).clamp(max=height - 1).long() * width + (left + right).clamp(max=width - 1).long()
            taken = flat.gather(2, index[:, None].expand(n, channels, -1))
            result = result + taken * (share_x * share_y)[:, None]
    return result.view_as(images)


def _mirrored(place: Tensor, length: int) -> Tensor:
    """Into [0, length - 1], as between two mirrors at the outer edges of the outermost pixels."""
    folded = torch.remainder(place + 0.5, 2 * length)
    return (torch.minimum(folded, 2 * length - folded) - 0.5).clamp(0, length - 1)
