"""Picture files to tensors: upright, in the channels asked for, transparency over a background; or one sentence that says what
is wrong."""

from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import ImageColor
from torch import Tensor

from stylegan_lab.images.convert import from_bytes
from stylegan_lab.images.decode import Colour, Wanted, decode
from stylegan_lab.images.opening import MOST_PIXELS, SUFFIXES, opened
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.mistake import Mistake, at_least

__all__ = ["MOST_PIXELS", "SUFFIXES", "Unreadable", "picture_files", "read_picture", "read_pixels"]


def read_picture(path: Path) -> Tensor:
    """(3, H, W) in [-1, 1]."""
    return from_bytes(read_pixels(path))


def read_pixels(
    path: Path,
    channels: int = 3,
    depth: int = 8,
    background: str = "white",
    wanted: Wanted | tuple[int, int] | None = None,
) -> Tensor:
    """(C, H, W): uint8 for a depth of 8, floats in [-1, 1] for 16, which keep all a file with 16 bits a channel holds.

    Channels: 1 is luminance, 3 RGB, 4 RGBA; of any other number each is the luminance of one page of the file. `background`
    is what shows through transparent pixels unless the fourth channel keeps them. `wanted` is the (height, width) the picture
    will be shrunk to, or says it for a picture's own: a JPEG may then be decoded smaller, though never below that."""
    paper = _judge(channels, depth, background)
    with opened(path) as picture:
        pixels = decode(picture, channels, depth, paper, wanted)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def picture_files(folder: Path) -> Iterator[Path]:
    """Every picture below the folder, in the order of their names; hidden files are passed over."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield path


def _judge(channels: int, depth: int, background: str) -> Colour:
    """The background as RGB."""
    at_least("data.channels", channels, 1)
    if depth not in (8, 16):
        raise Mistake(f"data.depth={depth}: pictures are read with 8 or 16 bits")
    try:
        return ImageColor.getrgb(background)[:3]
    except ValueError:
        raise Mistake(f'data.background={background} is no colour; give a name as white, or "#ffffff"') from None
