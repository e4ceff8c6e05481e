"""Reads an image file as pixels: decodes it with the requested channels and bit depth, cuts a pair into halves, and resizes."""

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

from stylegan_lab.errors import UserError
from stylegan_lab.images.decode import ROTATED_ORIENTATIONS, orientation
from stylegan_lab.images.image_io import read_pixels
from stylegan_lab.images.open_image import UnreadableImageError, open_image
from stylegan_lab.images.transforms.resize import ResizePolicy, resize_images

VERSION = 1  # increase when the same file gives other pixels, so that caches are rebuilt


@dataclass(frozen=True)
class ImageReading:
    """How image files are read: the resizing, the channels, the bit depth and the halves.

    With `halves=0`, a file is one image. With 1, it gives two images, the left half and then the right half; with -1, the right
    half comes first.
    """

    resize: ResizePolicy
    channels: int = 3
    bit_depth: int = 8
    background: str = "white"
    halves: int = 0

    def __call__(self, path: Path) -> Tensor:
        """Return the pixels (K, C, h, w) of one image (K = 1) or its two halves (K = 2). They are uint8, or floats in [-1, 1] for a
        bit depth of 16."""
        pixels = read_pixels(path, self.channels, self.bit_depth, self.background, self._wanted)
        parts = _halves(path, pixels)[:: self.halves] if self.halves else [pixels]
        try:
            return torch.stack([self.resize(part) for part in parts])
        except UserError as error:
            raise UnreadableImageError(path, f"does not resize: {error}", error.code) from None

    def held_out(self, height: int, width: int, scale: float = 1.0) -> "ImageReading":
        """Return how held-out images are read. They are not cropped like training images, so they are resized to `scale` times the
        load size and then to exactly `height` and `width`."""
        return replace(
            self, resize=ScaleToCover(self.resize if scale == 1 else self.resize.scaled(scale), height, width)
        )

    def fingerprint(self) -> str:
        """Return a hash of the settings, the code and the library versions that determine the pixels."""
        tools = [VERSION, PIL.__version__, torch.__version__]
        return hashlib.sha256(json.dumps([tools, _describe(self)]).encode()).hexdigest()

    def _wanted(self, height: int, width: int) -> tuple[int, int]:
        if not self.halves:
            return self.resize.target_size(height, width)
        wanted_height, half = self.resize.target_size(height, max(1, width // 2))
        return wanted_height, 2 * half


class ScaleToCover:
    """Applies a resize, then scales the image to cover an exact size and crops it around the center."""

    def __init__(self, resize: ResizePolicy, height: int, width: int) -> None:
        self.resize, self.height, self.width = resize, height, width

    def __call__(self, pixels: Tensor) -> Tensor:
        pixels = self.resize(pixels)
        height, width = pixels.shape[1:]
        factor = max(self.height / height, self.width / width)
        pixels = resize_images(pixels, max(self.height, round(height * factor)), max(self.width, round(width * factor)))
        top, left = (pixels.shape[1] - self.height) // 2, (pixels.shape[2] - self.width) // 2
        return pixels[:, top : top + self.height, left : left + self.width]

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        return self.resize.target_size(height, width)

    def scaled(self, scale: float) -> "ScaleToCover":
        return ScaleToCover(self.resize.scaled(scale), round(self.height * scale), round(self.width * scale))


def image_size(path: Path) -> tuple[int, int]:
    """Return the width and height of the image in its upright orientation, read from the file header."""
    with open_image(path) as image:
        return image.size[::-1] if orientation(image) in ROTATED_ORIENTATIONS else image.size


def _halves(path: Path, pixels: Tensor) -> list[Tensor]:
    if (half := pixels.shape[2] // 2) == 0:
        raise UnreadableImageError(path, "is one pixel wide, so it cannot be cut into halves", "image.too_narrow")
    return [pixels[:, :, :half], pixels[:, :, -half:]]


def _describe(thing: Any) -> Any:
    """The class, source code and settings of an object, as JSON."""
    if thing is None or isinstance(thing, str | int | float | bool):
        return thing
    if isinstance(thing, list | tuple):
        return [_describe(each) for each in thing]
    if isinstance(thing, Mapping):
        return {str(key): _describe(value) for key, value in thing.items()}
    kind = type(thing)
    try:
        code = hashlib.sha256(inspect.getsource(kind).encode()).hexdigest()
    except (OSError, TypeError):
        code = ""
    return [f"{kind.__module__}.{kind.__qualname__}", code, _describe(getattr(thing, "__dict__", repr(thing)))]
