"""Reading image files into tensors and writing tensors to image files."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageColor
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.decode import TargetSize, decode
from stylegan_lab.images.open_image import ROW_NAMES, SUFFIXES, open_image
from stylegan_lab.images.value_range import from_bytes, to_bytes


def read_image(path: Path) -> Tensor:
    """Read a file as a tensor (3, H, W) with values in [-1, 1]."""
    return from_bytes(read_pixels(path))


def read_pixels(
    path: Path,
    channels: int = 3,
    bit_depth: int = 8,
    background: str = "white",
    target_size: TargetSize | tuple[int, int] | None = None,
) -> Tensor:
    """Read a file as a tensor (C, H, W) of uint8, or of floats in [-1, 1] for a bit depth of 16.

    Args:
        channels: 1 is luminance, 3 RGB, 4 RGBA. For any other number, the file must have that many pages, and each channel is the
            luminance of a page.
        background: A color name or `#rrggbb`, which shows through transparent pixels. It is not used for 4 channels.
        target_size: The (height, width) to which the caller will shrink the image. A JPEG may then be decoded at a lower
            resolution, but never below this size.
    """
    check_at_least("data.channels", channels, 1)
    if bit_depth not in (8, 16):
        raise UserError("config.unknown_choice", f"data.bit_depth={bit_depth}: give 8 or 16")
    try:
        color = ImageColor.getrgb(background)[:3]
    except ValueError:
        raise UserError(
            "config.unknown_color",
            f'data.background={background} is not a color; give a name such as white, or a value such as "#ffffff"',
        ) from None
    with open_image(path) as image:
        pixels = decode(image, channels, bit_depth, color, target_size)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def image_files(folder: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[Path]:
    """Iterate over all image files below a folder, sorted by path. Hidden files are skipped."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith("."):
            yield path


def write_image(image: Tensor, path: Path, row_names: Sequence[str] = ()) -> Path:
    """Write an image (C, H, W) in [-1, 1] atomically, in the format of the suffix. Missing folders are created.

    `row_names` describes the rows of an image grid. The names are stored in PNG files only; `open_image.read_row_names` reads
    them.
    """
    pil_image = to_pil(image)
    options: dict[str, Any] = {}
    if row_names:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text(ROW_NAMES, json.dumps(list(row_names)))
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pil_image.save(partial, **options)
        partial.replace(path)
    except OSError as error:
        raise UserError("image.not_writable", f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def to_pil(image: Tensor) -> Image.Image:
    pixels = to_bytes(image.detach().cpu())
    return Image.fromarray(pixels[0].numpy() if len(pixels) == 1 else pixels.permute(1, 2, 0).contiguous().numpy())
