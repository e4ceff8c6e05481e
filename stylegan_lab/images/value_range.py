"""Conversions between the value ranges of images: bytes [0, 255], unit range [0, 1] and network range [-1, 1]."""

from collections.abc import Callable

import torch
from torch import Tensor


def from_bytes(pixels: Tensor) -> Tensor:
    """Convert uint8 to floats in [-1, 1]."""
    return (pixels.float() / 127.5 - 1).contiguous()


def to_bytes(images: Tensor) -> Tensor:
    """Convert [-1, 1] to uint8. Values are rounded, and clipped to the range."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def unit_to_bytes(images: Tensor) -> Tensor:
    """Convert [0, 1] to uint8. For images from `to_unit` this loses nothing."""
    return (images * 255).round().clamp(0, 255).to(torch.uint8)


def to_unit(images: Tensor) -> Tensor:
    """Convert [-1, 1] to [0, 1], quantized to 8 bits as in a saved image."""
    return to_bytes(images).float() / 255


def apply_in_unit_range(images: Tensor, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `transform` to images (K, C, H, W) in [0, 1] and return the result in the type and range of the input.

    The input is uint8, or floats in [-1, 1]; results are clipped. For RGBA, `transform` gets only RGB, and alpha is kept.
    """
    colors = images[:, :3] if images.shape[1] == 4 else images
    if images.dtype == torch.uint8:
        transformed = (transform(colors.float() / 255) * 255).round().clamp(0, 255).to(torch.uint8)
    else:
        transformed = (transform((colors.float() + 1) / 2) * 2 - 1).clamp(-1, 1).to(images.dtype)
    return torch.cat([transformed, images[:, 3:]], dim=1) if images.shape[1] == 4 else transformed
