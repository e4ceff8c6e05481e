"""Pictures as floats in [0, 1], with all the depth the file has.

Pillow reads a grey channel of 16 bits whole, but of 16-bit colours it keeps the high bytes only. Those are decoded a second
time as if their bytes were swapped, which gives the low ones. (16-bit CMYK and premultiplied alpha stay as Pillow reads them.)
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_lab.images.opening import FORMATS

Floats = NDArray[np.floating[Any]]

SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
CLIPPED = 0.01  # so far beyond [0, 1] may float pictures reach, as those that were resampled do


def floats(picture: Image.Image) -> Floats:
    """(H, W, bands): grey, RGB or RGBA."""
    raw, file, page = _raw_mode(picture), getattr(picture, "fp", None), picture.tell()
    if raw == "LA;16B":  # four bytes a pixel, as RGBA has them
        pairs = _decoded_as(picture, "RGBA")
        return _joined(pairs[..., [0, 0, 0, 2]], pairs[..., [1, 1, 1, 3]])
    picture.load()
    if picture.mode.startswith("I") or picture.mode == "F":
        return grey(picture)[..., None]
    if raw[:-1] in ("RGB;16", "RGBX;16", "RGBA;16") and file is not None:
        file.seek(0)
        with Image.open(file, formats=FORMATS) as again:
            again.seek(page)
            return _joined(np.asarray(picture), _decoded_as(again, raw[:-1] + SWAPPED[raw[-1]]))
    return _unit(picture)


def grey(picture: Image.Image) -> Floats:
    """(H, W) of integers up to 65535, or of floats that mean 0 to 1."""
    values = np.asarray(picture)
    most, slack = (1, CLIPPED) if picture.mode == "F" else (65535, 0)
    least, greatest = values.min(), values.max()
    if not (-slack <= least and greatest <= most + slack):
        raise ValueError(f"its values go from {least:g} to {greatest:g}; 0 to {most} is read")
    levels: Floats = np.clip(values.astype(np.float32) / most, 0, 1)
    return levels


def with_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info


def _unit(picture: Image.Image) -> Floats:
    mode = "RGBA" if with_alpha(picture) else "L" if picture.mode in ("1", "L") else "RGB"
    pixels = np.asarray(picture.convert(mode), dtype=np.float32) / 255
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _raw_mode(picture: Image.Image) -> str:
    """How the decoder is told that channels lie in the file, as Pillow names it."""
    tiles = getattr(picture, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) and picture.mode in ("RGB", "RGBA") else ""


def _decoded_as(picture: Image.Image, raw: str) -> Any:
    def renamed(arguments: Any) -> Any:
        return (raw, *arguments[1:]) if isinstance(arguments, tuple) else raw

    picture.tile = [tile._replace(args=renamed(tile[3])) for tile in picture.tile]  # type: ignore[attr-defined]
    picture.load()
    return np.asarray(picture)


def _joined(high: Any, low: Any) -> Floats:
    joined: Floats = (high.astype(np.uint16) << 8 | low).astype(np.float32) / 65535
    return joined
