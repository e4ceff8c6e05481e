"""How a file becomes pixels: decoded in the channels and depth asked for, perhaps cut in two halves, then fitted."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import PIL
import torch
from torch import Tensor

from stylegan_lab.images.decode import SIDEWAYS, orientation
from stylegan_lab.images.fit import Fit
from stylegan_lab.images.opening import opened
from stylegan_lab.images.read import read_pixels
from stylegan_lab.images.scale import scaled
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.mistake import Mistake

VERSION = 1  # of what is done here and below; another number, other pixels


@dataclass(frozen=True)
class Reading:
    """`halves`: 0 the whole picture; 1 its left half, then its right half; -1 the other way round."""

    fit: Fit
    channels: int = 3
    depth: int = 8
    background: str = "white"
    halves: int = 0

    def __call__(self, path: Path) -> Tensor:
        """(K, C, h, w) of one whole or two halves: uint8, or floats in [-1, 1] for a depth of 16."""
        pixels = read_pixels(path, self.channels, self.depth, self.background, self._wanted)
        parts = _halves(path, pixels)[:: self.halves] if self.halves else [pixels]
        try:
            return torch.stack([self.fit(part) for part in parts])
        except Mistake as mistake:
            raise Unreadable(path, f"does not fit: {mistake}") from None

    def whole(self, height: int, width: int, share: float = 1.0) -> "Reading":
        """As pictures are held out: fitted to a `share` of the size, as there is no crop, and always of this height and width."""
        return replace(self, fit=Covering(self.fit if share == 1 else self.fit.smaller(share), height, width))

    def fingerprint(self) -> str:
        """Equal where pixels are."""
        tools = [VERSION, PIL.__version__, torch.__version__]
        return hashlib.sha256(json.dumps([tools, _described(self)]).encode()).hexdigest()

    def _wanted(self, height: int, width: int) -> tuple[int, int]:
        if not self.halves:
            return self.fit.wanted(height, width)
        least, half = self.fit.wanted(height, max(1, width // 2))
        return least, 2 * half


class Covering:
    """Another fit, and then exactly this size: scaled until it covers that, and cut around the middle."""

    def __init__(self, fit: Fit, height: int, width: int) -> None:
        self.fit, self.height, self.width = fit, height, width

    def __call__(self, pixels: Tensor) -> Tensor:
        pixels = self.fit(pixels)
        height, width = pixels.shape[1:]
        times = max(self.height / height, self.width / width)
        pixels = scaled(pixels, max(self.height, round(height * times)), max(self.width, round(width * times)))
        top, left = (pixels.shape[1] - self.height) // 2, (pixels.shape[2] - self.width) // 2
        return pixels[:, top : top + self.height, left : left + self.width]

    def wanted(self, height: int, width: int) -> tuple[int, int]:
        return self.fit.wanted(height, width)

    def smaller(self, share: float) -> "Covering":
        return Covering(self.fit.smaller(share), round(self.height * share), round(self.width * share))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of the upright picture, as the header says them."""
    with opened(path) as picture:
        return picture.size[::-1] if orientation(picture) in SIDEWAYS else picture.size


def _halves(path: Path, pixels: Tensor) -> list[Tensor]:
    if (half := pixels.shape[2] // 2) == 0:
        raise Unreadable(path, "is one pixel wide: there are no two halves")
    return [pixels[:, :, :half], pixels[:, :, -half:]]


def _described(thing: Any) -> Any:
    """What an object does, as far as its code and its settings say."""
    if thing is None or isinstance(thing, str | int | float | bool):
        return thing
    if isinstance(thing, list | tuple):
        return [_described(each) for each in thing]
    if isinstance(thing, Mapping):
        return {str(key): _described(value) for key, value in thing.items()}
    kind = type(thing)
    try:
        code = hashlib.sha256(inspect.getsource(kind).encode()).hexdigest()
    except (OSError, TypeError):
        code = ""
    return [f"{kind.__module__}.{kind.__qualname__}", code, _described(getattr(thing, "__dict__", repr(thing)))]
