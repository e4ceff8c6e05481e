"""Image files with everything that a translation preserves: alpha, 16 bits, ICC profile. Images are rotated upright when they are
read."""

import io
import struct
import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import atomic_write
from stylegan_lab.images.decode import decode, has_16_bits, has_alpha
from stylegan_lab.images.open_image import open_image
from stylegan_lab.images.value_range import to_bytes

PIL_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
               ".gif": "GIF"}  # fmt: skip
WITH_ALPHA = ("PNG", "WEBP", "TIFF")
OPTIONS: dict[str, dict[str, object]] = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}}
PNG_ROWS = 256  # rows that are compressed at once


@dataclass(frozen=True)
class Photograph:
    """Colors (3, H, W) and alpha (1, H, W), both uint8, or floats in [-1, 1] for 16-bit files. Colors are not multiplied by
    alpha."""

    colors: Tensor
    alpha: Tensor | None = None
    icc_profile: bytes | None = None

    def with_colors(self, colors: Tensor) -> "Photograph":
        """Return the same photograph with other colors. Alpha is resized to the size of the new colors."""
        alpha = None if self.alpha is None else resize_alpha(self.alpha, colors)
        return replace(self, colors=colors, alpha=alpha)

    def columns(self, first: int, last: int) -> "Photograph":
        alpha = None if self.alpha is None else self.alpha[..., first:last]
        return replace(self, colors=self.colors[..., first:last], alpha=alpha)


def resize_alpha(alpha: Tensor, colors: Tensor) -> Tensor:
    """Resize alpha (1, H, W) to the size of the colors (3, H, W)."""
    if alpha.shape[1:] == colors.shape[1:]:
        return alpha
    resized = F.interpolate(alpha[None].float(), tuple(colors.shape[1:]), mode="bilinear", antialias=True)[0]
    return resized.round().to(alpha.dtype) if alpha.dtype == torch.uint8 else resized


def read_photograph(path: Path, contents: bytes | None = None, max_pixels: int | None = None) -> Photograph:
    """Read an image file, or its contents if they are in memory. `path` is then used only as a name in error messages."""
    with open_image(path, contents, max_pixels) as image:
        with_alpha, deep = has_alpha(image), has_16_bits(image)
        profile = image.info.get("icc_profile")
        is_rgb = isinstance(profile, bytes) and profile[16:20] == b"RGB "  # others do not describe what is written
        pixels = decode(image, 4 if with_alpha else 3, 16 if deep else 8)
    channels = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return Photograph(channels[:3], channels[3:] if with_alpha else None, profile if is_rgb else None)


def write_photograph(photograph: Photograph, path: Path) -> Path:
    """Write atomically, in the format of the suffix. PNG keeps 16 bits. If the format cannot store alpha, the image is put on a
    white background."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            encode_photograph(photograph, file, path.suffix.lower())
    except OSError as error:
        raise UserError("image.not_writable", f"{path} cannot be written: {error.strerror or error}") from error
    return path


def encode_photograph(photograph: Photograph, file: BinaryIO, suffix: str = ".png") -> None:
    kind = PIL_FORMATS[suffix]
    colors, alpha = photograph.colors, photograph.alpha
    if alpha is not None and kind not in WITH_ALPHA:
        colors, alpha = on_white(colors, alpha), None
    if kind == "PNG" and colors.is_floating_point():
        _encode_png_16(colors, alpha, photograph.icc_profile, file)
        return
    channels = colors if alpha is None else torch.cat([colors, alpha])
    pixels = channels if channels.dtype == torch.uint8 else to_bytes(channels)
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    profile = {} if photograph.icc_profile is None else {"icc_profile": photograph.icc_profile}
    buffer = io.BytesIO() if kind in ("TIFF", "WEBP") else file  # their encoders seek in the file
    image.save(buffer, kind, **OPTIONS.get(kind, {}), **profile)
    if isinstance(buffer, io.BytesIO) and buffer is not file:
        file.write(buffer.getvalue())


def on_white(colors: Tensor, alpha: Tensor) -> Tensor:
    low, high = (0.0, 255.0) if colors.dtype == torch.uint8 else (-1.0, 1.0)
    weight = (alpha.float() - low) / (high - low)
    blended = torch.lerp(torch.full_like(colors, high, dtype=torch.float32), colors.float(), weight.expand_as(colors))
    return blended.round().to(torch.uint8) if colors.dtype == torch.uint8 else blended


def _encode_png_16(colors: Tensor, alpha: Tensor | None, icc_profile: bytes | None, file: BinaryIO) -> None:
    """Encode floats in [-1, 1] as a PNG of 16 bits, which Pillow cannot. Each row is stored as its difference to the row above."""
    height, width = colors.shape[1:]
    count = 3 if alpha is None else 4
    file.write(b"\x89PNG\r\n\x1a\n")
    _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[count], 0, 0, 0))
    if icc_profile is not None:
        _write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile))
    compressor = zlib.compressobj(6)
    above = np.zeros((1, width * count * 2), dtype=np.uint8)
    for first in range(0, height, PNG_ROWS):
        rows = torch.cat([each[:, first : first + PNG_ROWS] for each in (colors, alpha) if each is not None])
        values = (
            ((rows.permute(1, 2, 0).double() + 1) * 32767.5).round().clamp(0, 65535).contiguous().numpy().astype(">u2")
        )
        lines = values.view(np.uint8).reshape(len(values), -1)
        differences = lines - np.concatenate([above, lines[:-1]])
        filtered = np.concatenate([np.full((len(lines), 1), 2, dtype=np.uint8), differences], axis=1)
        _write_chunk(file, b"IDAT", compressor.compress(filtered.tobytes()))
        above = lines[-1:]
    _write_chunk(file, b"IDAT", compressor.flush())
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    if content or kind == b"IEND":
        file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))


def write_to_stdout(photograph: Photograph) -> None:
    """Write a PNG to standard output."""
    encode_photograph(photograph, sys.stdout.buffer)
    sys.stdout.buffer.flush()
