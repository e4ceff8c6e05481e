"""What every picture goes through once, before it is kept: scaled, cut or padded to a size. Nothing is drawn."""

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.choice import choose
from stylegan_lab.images.scale import scaled
from stylegan_lab.mistake import Mistake, at_least


class Fit(Protocol):
    def __call__(self, pixels: Tensor) -> Tensor:
        """(C, H, W) to (C, h, w), of the same type: uint8, or floats in [-1, 1]."""
        ...

    def wanted(self, height: int, width: int) -> tuple[int, int]:
        """The size a picture of this size is first scaled to: no more of it need be decoded."""
        ...

    def smaller(self, share: float) -> "Fit":
        """The same, to so much of the size."""
        ...


class InTurn:
    """One after the other; a step that is null is left out, and without steps pictures stay as they are."""

    def __init__(self, steps: Mapping[str, Fit | None]) -> None:
        self.steps = [step for step in steps.values() if step is not None]

    def __call__(self, pixels: Tensor) -> Tensor:
        for step in self.steps:
            pixels = step(pixels)
        return pixels

    def wanted(self, height: int, width: int) -> tuple[int, int]:
        return self.steps[0].wanted(height, width) if self.steps else (height, width)

    def smaller(self, share: float) -> "InTurn":
        return InTurn({str(place): step.smaller(share) for place, step in enumerate(self.steps)})


class Resize:
    """To exactly this size, whatever that does to the aspect."""

    def __init__(self, height: int, width: int) -> None:
        at_least("fit.height", height, 1)
        at_least("fit.width", width, 1)
        self.height, self.width = height, width

    def __call__(self, pixels: Tensor) -> Tensor:
        return scaled(pixels, self.height, self.width)

    def wanted(self, height: int, width: int) -> tuple[int, int]:
        return self.height, self.width

    def smaller(self, share: float) -> "Resize":
        return Resize(round(self.height * share), round(self.width * share))


class ScaleShortest:
    """The shorter side to `size`, the aspect kept."""

    def __init__(self, size: int) -> None:
        at_least("fit.size", size, 1)
        self.size = size

    def __call__(self, pixels: Tensor) -> Tensor:
        return scaled(pixels, *self.wanted(*pixels.shape[1:]))

    def wanted(self, height: int, width: int) -> tuple[int, int]:
        return _in_proportion(height, width, self.size, min(height, width))

    def smaller(self, share: float) -> "ScaleShortest":
        return ScaleShortest(round(self.size * share))


class CropCentre:
    """The square of `size` in the middle."""

    def __init__(self, size: int) -> None:
        at_least("fit.size", size, 1)
        self.size = size

    def __call__(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[1:]
        if min(height, width) < self.size:
            raise Mistake(
                f"a picture of {width}x{height} pixels cannot be cropped to {self.size}; scale it first (fit=shortest_crop)"
            )
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return pixels[:, top : top + self.size, left : left + self.size]

    def wanted(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def smaller(self, share: float) -> "CropCentre":
        return CropCentre(round(self.size * share))


class Pad:
    """The whole picture within a square of `size`: its longer side scaled to that, the rest filled."""

    def __init__(self, size: int, fill: str = "mirror") -> None:
        at_least("fit.size", size, 1)
        choose("fit.fill", fill, FILLS)
        self.size, self.fill = size, fill

    def __call__(self, pixels: Tensor) -> Tensor:
        within = scaled(pixels, *self.wanted(*pixels.shape[1:]))
        down, right = self.size - within.shape[1], self.size - within.shape[2]
        top, left = down // 2, right // 2
        if self.fill in LEVELS:
            level = LEVELS[self.fill]
            value = round((level + 1) * 127.5) if pixels.dtype == torch.uint8 else level
            return F.pad(within, (left, right - left, top, down - top), value=value)
        rows = _repeated(within.shape[1], top, down - top, self.fill)
        columns = _repeated(within.shape[2], left, right - left, self.fill)
        return within[:, rows][:, :, columns]

    def wanted(self, height: int, width: int) -> tuple[int, int]:
        return _in_proportion(height, width, self.size, max(height, width))

    def smaller(self, share: float) -> "Pad":
        return Pad(round(self.size * share), self.fill)


LEVELS = {"white": 1.0, "grey": 0.0, "black": -1.0}
FILLS = {**LEVELS, "mirror": None, "edge": None}


def _in_proportion(height: int, width: int, size: int, side: int) -> tuple[int, int]:
    """`side` becomes `size`, and the other side what goes with it."""
    return max(1, round(height * size / side)), max(1, round(width * size / side))


def _repeated(length: int, before: int, after: int, fill: str) -> Tensor:
    """Which row or column stands at each place; mirrored again and again where one mirror image is not enough."""
    places = torch.arange(-before, length + after)
    if fill == "edge":
        return places.clamp(0, length - 1)
    places = places % (2 * length)
    return torch.where(places < length, places, 2 * length - 1 - places)
