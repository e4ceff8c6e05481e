"""Bytes to floats and back: the only places where [0, 255], [0, 1] and [-1, 1] meet."""

from collections.abc import Callable

import torch
from torch import Tensor


def from_bytes(pixels: Tensor) -> Tensor:
    """uint8 to [-1, 1]."""
    return (pixels.float() / 127.5 - 1).contiguous()


def to_bytes(images: Tensor) -> Tensor:
    """[-1, 1] to uint8, rounded, values outside clipped."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def to_unit(images: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], as a saved picture would hold it: through 8 bits."""
    return to_bytes(images).float() / 255


def in_unit(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """(K, C, H, W) changed in [0, 1] and clipped, whatever they are in; of RGBA the change gets RGB."""
    colours = images[:, :3] if images.shape[1] == 4 else images
    if images.dtype == torch.uint8:
        changed = (change(colours.float() / 255) * 255).round().clamp(0, 255).to(torch.uint8)
    else:
        changed = (change((colours.float() + 1) / 2) * 2 - 1).clamp(-1, 1).to(images.dtype)
    return torch.cat([changed, images[:, 3:]], dim=1) if images.shape[1] == 4 else changed
