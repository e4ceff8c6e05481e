"""Picture files to tensors: upright, in three channels, transparency over white; or one sentence that says what is wrong."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from stylegan_lab.images.convert import from_bytes
from stylegan_lab.mistake import Mistake

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
MOST_PIXELS = 100_000_000


def read_picture(path: Path) -> Tensor:
    """(3, H, W) in [-1, 1]."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Mistake(f"{path} has {picture.width}x{picture.height} pixels; at most {MOST_PIXELS:,} are read")
            upright = ImageOps.exif_transpose(picture)
            pixels = np.array(_rgb(upright))
    except UnidentifiedImageError:
        raise Mistake(f"{path} is not a picture that can be read") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Mistake(f"{path} cannot be read: {error}") from None
    return from_bytes(torch.from_numpy(pixels).permute(2, 0, 1))


def picture_files(folder: Path) -> Iterator[Path]:
    """Every picture below the folder, in the order of their names; hidden files are passed over."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield path


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits: Pillow's own conversion would clip instead of scale
        grey = np.asarray(picture).astype(np.float64)
        return Image.fromarray(np.round(grey.clip(0, 65535) / 257).astype(np.uint8)).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture).convert("RGB")
    return picture.convert("RGB")
