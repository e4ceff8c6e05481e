"""A close look at one file: what picture it holds, or why none that can be read."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from torch import Tensor

from stylegan_lab.images.deep import with_alpha
from stylegan_lab.images.opening import MOST_PIXELS, opened
from stylegan_lab.images.read import read_pixels
from stylegan_lab.images.unreadable import Unreadable

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
            mode, kind, turned, alpha = mode_of(picture), str(picture.format), _turned(picture), with_alpha(picture)
        pixels = read_pixels(path, channels=4 if alpha else 3)
        if alpha and bool((pixels[3] == 255).all()):
            pixels = pixels[:3]
        if "16 bit" in mode or "float" in mode:  # 8 bits of these may well look the same
            pixels = read_pixels(path, channels=3, depth=16)
        height, width = pixels.shape[-2:]
        return Seen(width, height, mode, kind, turned, _digest_of_file(path), _digest_of_pixels(pixels))
    except Unreadable as error:
        return Bad(error.reason)
    except OSError as error:
        return Bad(f"cannot be read: {error.strerror or error}")


def mode_of(picture: Image.Image) -> str:
    """As people call it: RGB, gray, palette, RGB 16 bit."""
    if picture.mode.startswith("I"):
        return "gray 16 bit"
    deep = ";16" in str(getattr(picture, "tile", ""))
    name = NAMES.get(picture.mode, picture.mode)
    if picture.mode in ("RGB", "L", "P") and "transparency" in picture.info:
        name += " with alpha"
    return f"{name} 16 bit" if deep else name


def _turned(picture: Image.Image) -> bool:
    try:
        return picture.getexif().get(0x0112, 1) in TURNED
    except Exception:  # damaged metadata
        return False


def _digest_of_file(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _digest_of_pixels(pixels: Tensor) -> str:
    digest = hashlib.blake2b(repr(tuple(pixels.shape)).encode(), digest_size=16)
    array: Any = pixels.contiguous().numpy()
    digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()
