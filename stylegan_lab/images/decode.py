"""Opened pictures to arrays: upright, in the channels and the depth asked for, transparency over a background."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from stylegan_lab.images.deep import Floats, floats, grey, with_alpha
from stylegan_lab.images.opening import MOST_PIXELS

Wanted = Callable[[int, int], tuple[int, int]]  # the (height, width) a picture is shrunk to, given its own
Colour = tuple[int, ...]
WHITE: Colour = (255, 255, 255)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SIDEWAYS = {5, 6, 7, 8}
UPRIGHT: dict[int, Callable[[Any], Any]] = {  # what turns each orientation of EXIF into the first
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
DRAFT = 2  # times what is wanted are left of a JPEG: with less its sharpness would differ visibly from the plain way's
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def decode(
    picture: Image.Image,
    channels: int = 3,
    depth: int = 8,
    paper: Colour = WHITE,
    wanted: Wanted | tuple[int, int] | None = None,
) -> Any:
    """(H, W, C), as bytes or as floats in [-1, 1]."""
    if channels in MODES:
        return _page(_draft(picture, wanted), channels, depth, paper)
    return _pages(picture, channels, depth, paper)


def orientation(picture: Image.Image) -> int:
    """How a camera was held, as EXIF counts it; 1 is upright, and so is what cannot be told."""
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Exception:  # damaged metadata is no reason to refuse good pixels
        return 1


def _draft(picture: Image.Image, wanted: Wanted | tuple[int, int] | None) -> Image.Image:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8, where that changes nothing about the size it is shrunk to."""
    if wanted is None or picture.format not in ("JPEG", "MPO"):
        return picture
    turned = -1 if orientation(picture) in SIDEWAYS else 1
    height, width = picture.size[::-turned]
    last = wanted(height, width) if callable(wanted) else wanted
    for scale in (8, 4, 2):
        smaller = -(-height // scale), -(-width // scale)
        same = not callable(wanted) or wanted(*smaller) == last
        if same and all(DRAFT * least <= length for least, length in zip(last, smaller, strict=True)):
            width, height = picture.size
            picture.draft(None, (max(1, width // scale), max(1, height // scale)))
            return _without_edge(picture, width / scale, height / scale)
    return picture


def _without_edge(picture: Image.Image, width: float, height: float) -> Image.Image:
    """What was decoded smaller ends with a whole pixel, of which the picture itself may have but a part."""
    if picture.size == (width, height):
        return picture
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box=(0, 0, width, height))


def _page(picture: Image.Image, channels: int, depth: int, paper: Colour) -> Any:
    if depth == 8:
        picture.load()
    if depth == 16:
        pixels = _channels_of(floats(picture), channels, paper) * 2 - 1
    elif picture.mode.startswith("I") or picture.mode == "F":
        bytes_ = np.round(grey(picture) * 255).astype(np.uint8)
        pixels = np.asarray(Image.fromarray(bytes_).convert(MODES[channels]))
    else:
        pixels = np.asarray(_as_seen(picture, channels, paper))
    turned: Any = UPRIGHT.get(orientation(picture), lambda pixels: pixels)(pixels)
    return turned if turned.ndim == 3 else turned[..., None]


def _pages(picture: Image.Image, channels: int, depth: int, paper: Colour) -> Any:
    """The luminance of as many pages as there are to be channels."""
    count = getattr(picture, "n_frames", 1)
    if count != channels:
        raise ValueError(
            f"it has {count} page{'s' * (count > 1)}; data.channels={channels} takes {channels}, each as one channel"
        )
    if count * picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{count} pages of {picture.width}x{picture.height} pixels; at most {MOST_PIXELS:,} are read")
    pages = []
    for page in range(count):
        picture.seek(page)
        pages.append(_page(picture, 1, depth, paper))
    if len({page.shape for page in pages}) > 1:
        raise ValueError("its pages differ in size")
    return np.concatenate(pages, axis=2)


def _as_seen(picture: Image.Image, channels: int, paper: Colour) -> Image.Image:
    if picture.mode == "LAB":  # which Pillow turns into RGB alone
        picture = picture.convert("RGB")
    if channels == 4 or not with_alpha(picture):
        return picture.convert(MODES[channels])
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, paper), picture).convert(MODES[channels])


def _channels_of(levels: Floats, channels: int, paper: Colour) -> Floats:
    if levels.shape[2] == 1:
        levels = levels if channels == 1 else levels.repeat(3, axis=2)
    if channels == 4:
        return levels if levels.shape[2] == 4 else np.pad(levels, ((0, 0), (0, 0), (0, 1)), constant_values=1)
    if levels.shape[2] == 4:
        below = np.array(paper, dtype=np.float32) / 255
        levels = below + (levels[..., :3] - below) * levels[..., 3:]
    return levels if levels.shape[2] == channels else (levels @ LUMINANCE)[..., None]
