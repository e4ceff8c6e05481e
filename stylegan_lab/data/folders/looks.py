"""A close look at one file: what picture it holds, or why none that can be read."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from stylegan_lab.images.decode import decode, orientation
from stylegan_lab.images.deep import with_alpha
from stylegan_lab.images.opening import MOST_PIXELS, opened
from stylegan_lab.images.unreadable import Unreadable

GRAY_16 = "gray 16 bit"
DEEP = {GRAY_16, "gray float"}
TURNED = range(2, 9)  # EXIF's orientations other than upright
NAMES = {
    "1": "black and white", "L": "gray", "P": "palette", "F": "gray float", "LA": "gray with alpha", "PA": "palette with alpha",
}  # fmt: skip
SUFFIXES_OF = {
    "JPEG": {".jpg", ".jpeg"}, "MPO": {".jpg", ".jpeg"}, "PNG": {".png"}, "WEBP": {".webp"}, "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp"}, "GIF": {".gif"},
}  # fmt: skip


class Seen(NamedTuple):
    """`content` tells files apart, `pixels` what they show: upright, and with its alpha and depth."""

    width: int
    height: int
    mode: str
    format: str
    turned: bool
    content: str
    pixels: str

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


class Bad(NamedTuple):
    reason: str


class Large(NamedTuple):
    """Put off until few are read at the same time, for the memory's sake."""


def look_at(path: Path, most_pixels: int = MOST_PIXELS) -> Seen | Bad | Large:
    """The whole file is read, as a training reads it."""
    try:
        with opened(path) as picture:
            if picture.width * picture.height > most_pixels:
                return Large()
            mode, kind, turned = mode_of(picture), str(picture.format), orientation(picture) in TURNED
            pixels = _telling(picture, mode)
        height, width, _ = pixels.shape
        return Seen(width, height, mode, kind, turned, _digest_of_file(path), _digest_of_pixels(pixels))
    except Unreadable as error:
        if path.exists():
            return Bad(error.reason)
        return Bad("is a link to what does not exist" if path.is_symlink() else "vanished before it was read")
    except OSError as error:
        return Bad(f"cannot be read: {error.strerror or error}")


def mode_of(picture: Image.Image) -> str:
    """As people call it: RGB, gray, palette, RGB 16 bit."""
    if picture.mode.startswith("I"):
        return GRAY_16
    deep = ";16" in str(getattr(picture, "tile", ""))
    name = NAMES.get(picture.mode, picture.mode)
    if picture.mode in ("RGB", "L", "P") and "transparency" in picture.info:
        name += " with alpha"
    return f"{name} 16 bit" if deep else name


def _telling(picture: Image.Image, mode: str) -> Any:
    """Pixels (H, W, C) with what tells pictures apart: alpha that is not all opaque, all of a gray channel's bits."""
    if not with_alpha(picture):
        return decode(picture, depth=16 if mode in DEEP else 8)
    pixels = decode(picture, channels=4)
    return pixels[..., :3] if (pixels[..., 3] == 255).all() else pixels


def _digest_of_file(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _digest_of_pixels(pixels: Any) -> str:
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
