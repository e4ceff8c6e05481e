"""Deterministic resizing, cropping and padding that brings every image to the size of the data set before it is cached."""

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.suggestions import lookup


def resize_images(images: Tensor, height: int, width: int, method: str = "bicubic") -> Tensor:
    """Resize (C, H, W) or (N, C, H, W) with antialiasing, as Pillow does. `method` is bicubic or bilinear."""
    if images.shape[-2:] == (height, width):
        return images
    batch = images if images.dim() == 4 else images[None]
    batch = F.interpolate(batch, (height, width), mode=method, antialias=True)
    batch = batch if images.dtype == torch.uint8 else batch.clamp(-1, 1)
    return batch if images.dim() == 4 else batch[0]


class ResizePolicy(Protocol):
    def __call__(self, pixels: Tensor) -> Tensor:
        """Transform an image (C, H, W) of uint8, or of floats in [-1, 1], to an image (C, h, w) of the same type."""

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) to which an image of this size is scaled first. The image may be decoded at any resolution
        that is at least this size."""

    def scaled(self, factor: float) -> "ResizePolicy":
        """Return the same policy with its sizes multiplied by `factor`."""


class ResizeSequence:
    """Apply policies one after the other. Steps that are None are skipped; without steps, images stay unchanged."""

    def __init__(self, steps: Mapping[str, ResizePolicy | None]) -> None:
        self.steps = [step for step in steps.values() if step is not None]

    def __call__(self, pixels: Tensor) -> Tensor:
        for step in self.steps:
            pixels = step(pixels)
        return pixels

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        return self.steps[0].target_size(height, width) if self.steps else (height, width)

    def scaled(self, factor: float) -> "ResizeSequence":
        return ResizeSequence({str(index): step.scaled(factor) for index, step in enumerate(self.steps)})


class Resize:
    """Resize to exactly this height and width. The aspect ratio is not kept."""

    def __init__(self, height: int, width: int) -> None:
        check_at_least("resize.height", height, 1)
        check_at_least("resize.width", width, 1)
        self.height, self.width = height, width

    def __call__(self, pixels: Tensor) -> Tensor:
        return resize_images(pixels, self.height, self.width)

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        return self.height, self.width

    def scaled(self, factor: float) -> "Resize":
        return Resize(round(self.height * factor), round(self.width * factor))


class ScaleShortest:
    """Scale the shorter side to `size` and keep the aspect ratio."""

    def __init__(self, size: int) -> None:
        check_at_least("resize.size", size, 1)
        self.size = size

    def __call__(self, pixels: Tensor) -> Tensor:
        return resize_images(pixels, *self.target_size(*pixels.shape[1:]))

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        return _proportional(height, width, self.size, min(height, width))

    def scaled(self, factor: float) -> "ScaleShortest":
        return ScaleShortest(round(self.size * factor))


class CenterCrop:
    """Cut a square of `size` pixels out of the center."""

    def __init__(self, size: int) -> None:
        check_at_least("resize.size", size, 1)
        self.size = size

    def __call__(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[1:]
        if min(height, width) < self.size:
            raise UserError(
                "data.crop_too_large",
                f"an image of {width}x{height} pixels cannot be cropped to {self.size}; scale it first (resize=shortest_crop)",
            )
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return pixels[:, top : top + self.size, left : left + self.size]

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def scaled(self, factor: float) -> "CenterCrop":
        return CenterCrop(round(self.size * factor))


class Pad:
    """Scale the longer side to `size` and pad the shorter side to a square. `fill` is white, gray or black, symmetric (mirrored
    pixels) or edge (repeated border pixels)."""

    def __init__(self, size: int, fill: str = "symmetric") -> None:
        check_at_least("resize.size", size, 1)
        lookup("resize.fill", fill, FILLS)
        self.size, self.fill = size, fill

    def __call__(self, pixels: Tensor) -> Tensor:
        scaled = resize_images(pixels, *self.target_size(*pixels.shape[1:]))
        vertical, horizontal = self.size - scaled.shape[1], self.size - scaled.shape[2]
        top, left = vertical // 2, horizontal // 2
        if self.fill in LEVELS:
            level = LEVELS[self.fill]
            value = round((level + 1) * 127.5) if pixels.dtype == torch.uint8 else level
            return F.pad(scaled, (left, horizontal - left, top, vertical - top), value=value)
        rows = _padded_indices(scaled.shape[1], top, vertical - top, self.fill)
        columns = _padded_indices(scaled.shape[2], left, horizontal - left, self.fill)
        return scaled[:, rows][:, :, columns]

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        return _proportional(height, width, self.size, max(height, width))

    def scaled(self, factor: float) -> "Pad":
        return Pad(round(self.size * factor), self.fill)


LEVELS = {"white": 1.0, "gray": 0.0, "black": -1.0}
FILLS = {**LEVELS, "symmetric": None, "edge": None}


def _proportional(height: int, width: int, size: int, side: int) -> tuple[int, int]:
    """Scale (height, width) so that a length of `side` becomes `size`."""
    return max(1, round(height * size / side)), max(1, round(width * size / side))


def _padded_indices(length: int, before: int, after: int, fill: str) -> Tensor:
    """The source index of each row or column. Mirroring is repeated where the padding is longer than the image."""
    indices = torch.arange(-before, length + after)
    if fill == "edge":
        return indices.clamp(0, length - 1)
    indices = indices % (2 * length)
    return torch.where(indices < length, indices, 2 * length - 1 - indices)
