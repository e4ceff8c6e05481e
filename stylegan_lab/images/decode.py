"""Decodes opened image files to arrays: rotates them upright, converts them to the requested channels and bit depth, and puts
transparent images on a background."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_lab.errors import UserError
from stylegan_lab.images.open_image import FORMATS, limit_text, pixel_limit

FloatImage = NDArray[np.floating[Any]]

TargetSize = Callable[[int, int], tuple[int, int]]  # from an image's (height, width) to that to which it is shrunk
Color = tuple[int, ...]
WHITE: Color = (255, 255, 255)
PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by number of channels
DRAFT_MARGIN = 2  # a JPEG is decoded at no less than this times the target size, or it would differ in sharpness
ROTATED_ORIENTATIONS = {5, 6, 7, 8}  # of EXIF, with width and height exchanged
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)
OPPOSITE_BYTE_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
FLOAT_TOLERANCE = 0.01  # resampled float images exceed [0, 1] slightly; up to this they are clipped


def decode(
    image: Image.Image,
    channels: int = 3,
    bit_depth: int = 8,
    background: Color = WHITE,
    target_size: TargetSize | tuple[int, int] | None = None,
) -> Any:
    """Decode to an array (H, W, C) of uint8, or of floats in [-1, 1] for a bit depth of 16. See `read_pixels` for the arguments."""
    if channels in PIL_MODES:
        return _decode_page(_use_draft_mode(image, target_size), channels, bit_depth, background)
    return _decode_pages(image, channels, bit_depth, background)


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation. An image with missing or damaged metadata counts as upright (1)."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # the pixels may be valid although the metadata is damaged
        return 1


def has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def has_16_bits(image: Image.Image) -> bool:
    """Return whether the file has more than 8 bits per channel: integers of 16 or 32 bits, or floats."""
    return image.mode.startswith("I") or image.mode == "F" or ";16" in _raw_mode(image)


def _use_draft_mode(image: Image.Image, target_size: TargetSize | tuple[int, int] | None) -> Image.Image:
    """Let the JPEG decoder reduce the image to 1/2, 1/4 or 1/8 if its size after resizing stays the same."""
    if target_size is None or image.format not in ("JPEG", "MPO"):
        return image
    order = -1 if orientation(image) in ROTATED_ORIENTATIONS else 1
    height, width = image.size[::-order]
    target = target_size(height, width) if callable(target_size) else target_size
    for scale in (8, 4, 2):
        reduced = -(-height // scale), -(-width // scale)
        same_target = not callable(target_size) or target_size(*reduced) == target
        if same_target and all(DRAFT_MARGIN * goal <= length for goal, length in zip(target, reduced, strict=True)):
            width, height = image.size
            image.draft(None, (max(1, width // scale), max(1, height // scale)))
            covered = width / scale, height / scale  # the last row and column may be covered only in part
            is_complete = image.size == covered
            return image if is_complete else image.resize(image.size, Image.Resampling.BICUBIC, box=(0, 0, *covered))
    return image


def _decode_pages(image: Image.Image, channels: int, bit_depth: int, background: Color) -> Any:
    count = getattr(image, "n_frames", 1)
    if count != channels:
        raise UserError(
            "image.wrong_page_count",
            f"it has {count} page{'s' * (count > 1)}; data.channels={channels} needs {channels}, one for each channel",
        )
    if count * image.width * image.height > pixel_limit():
        message = f"it has {count} pages of {image.width}x{image.height} pixels; {limit_text(pixel_limit())}"
        raise UserError("image.too_many_pixels", message)
    pages = []
    for page in range(count):
        image.seek(page)
        pages.append(_decode_page(image, 1, bit_depth, background))
    if len({page.shape for page in pages}) > 1:
        raise UserError("image.page_sizes_differ", "its pages differ in size")
    return np.concatenate(pages, axis=2)


def _decode_page(image: Image.Image, channels: int, bit_depth: int, background: Color) -> Any:
    if bit_depth == 8:
        image.load()
    if bit_depth == 16:
        pixels = _convert_channels(_to_float_array(image), channels, background)
        pixels *= 2  # in place: a photograph of 50 megapixels takes 800 MB
        pixels -= 1
    elif image.mode.startswith("I") or image.mode == "F":
        gray = np.round(_to_gray(image) * 255).astype(np.uint8)
        pixels = np.asarray(Image.fromarray(gray).convert(PIL_MODES[channels]))
    else:
        pixels = np.asarray(_convert_mode(image, channels, background))
    pixels, exif = pixels if pixels.ndim == 3 else pixels[..., None], orientation(image)
    upright = pixels[:: -1 if exif in (3, 4, 6, 7) else 1, :: -1 if exif in (2, 3, 7, 8) else 1]
    return upright.swapaxes(0, 1) if exif in ROTATED_ORIENTATIONS else upright


def _convert_mode(image: Image.Image, channels: int, background: Color) -> Image.Image:
    if image.mode == "LAB":  # Pillow converts it only to RGB
        image = image.convert("RGB")
    if channels == 4 or not has_alpha(image):
        return image.convert(PIL_MODES[channels])
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert(PIL_MODES[channels])


def _convert_channels(pixels: FloatImage, channels: int, background: Color) -> FloatImage:
    if pixels.shape[2] == 1 and channels != 1:
        pixels = pixels.repeat(3, axis=2)
    if channels == 4:
        return pixels if pixels.shape[2] == 4 else np.pad(pixels, ((0, 0), (0, 0), (0, 1)), constant_values=1)
    if pixels.shape[2] == 4:
        below = np.array(background, dtype=np.float32) / 255
        pixels = below + (pixels[..., :3] - below) * pixels[..., 3:]
    return pixels if pixels.shape[2] == channels else (pixels @ LUMA_WEIGHTS)[..., None]


def _to_float_array(image: Image.Image) -> FloatImage:
    """Decode to floats (H, W, bands) in [0, 1]: gray, RGB or RGBA, with the full bit depth of the file."""
    raw_mode, file, page = _raw_mode(image), getattr(image, "fp", None), image.tell()
    if raw_mode == "LA;16B":  # four bytes per pixel, like RGBA
        bytes_ = _decode_as(image, "RGBA")
        return _from_high_and_low_bytes(bytes_[..., [0, 0, 0, 2]], bytes_[..., [1, 1, 1, 3]])
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        return _to_gray(image)[..., None]
    if raw_mode[:-1] in ("RGB;16", "RGBX;16", "RGBA;16") and file is not None:
        file.seek(0)  # Pillow keeps the high byte of 16 bits; in the opposite byte order the "high" byte is the low one
        with Image.open(file, formats=FORMATS) as again:
            again.seek(page)
            low = _decode_as(again, raw_mode[:-1] + OPPOSITE_BYTE_ORDER[raw_mode[-1]])
            return _from_high_and_low_bytes(np.asarray(image), low)
    return _scale_to_unit(image)


def _to_gray(image: Image.Image) -> FloatImage:
    """Convert integers up to 65535, or floats in [0, 1], to floats (H, W) in [0, 1]."""
    values = np.asarray(image)
    limit, tolerance = (1, FLOAT_TOLERANCE) if image.mode == "F" else (65535, 0)
    lowest, highest = values.min(), values.max()
    if not (-tolerance <= lowest and highest <= limit + tolerance):
        message = f"its values go from {lowest:g} to {highest:g}; values from 0 to {limit} can be read"
        raise UserError("image.values_out_of_range", message)
    gray: FloatImage = np.clip(values.astype(np.float32) / limit, 0, 1)
    return gray


def _scale_to_unit(image: Image.Image) -> FloatImage:
    mode = "RGBA" if has_alpha(image) else "L" if image.mode in ("1", "L") else "RGB"
    pixels = np.asarray(image.convert(mode), dtype=np.float32) / 255
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name for the pixel layout in the file, or an empty string if the image is not RGB or RGBA."""
    tiles = getattr(image, "tile", [])
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) and image.mode in ("RGB", "RGBA") else ""


def _decode_as(image: Any, raw_mode: str) -> Any:
    """Decode the file as if its pixels had the layout `raw_mode`."""
    image.tile = [
        tile._replace(args=(raw_mode, *tile[3][1:]) if isinstance(tile[3], tuple) else raw_mode) for tile in image.tile
    ]
    image.load()
    return np.asarray(image)


def _from_high_and_low_bytes(high: Any, low: Any) -> FloatImage:
    pixels: FloatImage = high.astype(np.float32)
    pixels *= 256
    pixels += low
    pixels /= 65535
    return pixels
