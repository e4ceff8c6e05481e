"""Tensors to picture files, written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from PIL import Image
from torch import Tensor

from stylegan_lab.images.convert import to_bytes
from stylegan_lab.mistake import Mistake


def write_picture(image: Tensor, path: Path) -> Path:
    """One image (C, H, W) in [-1, 1] to a file of the kind its suffix names; folders are made."""
    picture = as_picture(image)
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(partial)
        partial.replace(path)
    except OSError as error:
        raise Mistake(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def as_picture(image: Tensor) -> Image.Image:
    pixels = to_bytes(image.detach().cpu())
    return Image.fromarray(pixels[0].numpy() if len(pixels) == 1 else pixels.permute(1, 2, 0).contiguous().numpy())
