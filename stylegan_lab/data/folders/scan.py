"""Reads all image files of a folder on all cores, in bounded memory. A file that crashes its reader is reported as a bad file."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from stylegan_lab.cores import num_cores
from stylegan_lab.data.folders.worker_pool import WorkerLost, map_in_workers
from stylegan_lab.files.download import file_digest
from stylegan_lab.images.decode import decode, has_alpha, orientation
from stylegan_lab.images.open_image import UnreadableImageError, open_image

GRAY_16 = "gray 16 bit"
HIGH_BIT_DEPTH_MODES = {GRAY_16, "gray float"}

MODE_NAMES = {
    "1": "black and white", "L": "gray", "P": "palette", "F": "gray float", "LA": "gray with alpha", "PA": "palette with alpha",
}  # fmt: skip

SUFFIXES_OF = {
    "JPEG": {".jpg", ".jpeg"}, "MPO": {".jpg", ".jpeg"}, "PNG": {".png"}, "WEBP": {".webp"}, "TIFF": {".tif", ".tiff"},
    "BMP": {".bmp"}, "GIF": {".gif"},
}  # fmt: skip


class ProbedImage(NamedTuple):
    """What a scan finds in a readable image. `content` is a digest of the file; `pixels` is a digest of the upright image with its
    alpha channel and bit depth."""

    width: int
    height: int
    mode: str
    format: str
    rotated: bool
    content: str
    pixels: str

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"


class BadFile(NamedTuple):
    reason: str


class DeferredLargeFile(NamedTuple):
    """A large image that is not read yet. It is read later, by fewer workers, to bound memory."""


def probe_image(path: Path, large: int | None = None) -> ProbedImage | BadFile | DeferredLargeFile:
    """Read the entire file, as training does. An image with more than `large` pixels is deferred instead."""
    try:
        with open_image(path) as image:
            if large is not None and image.width * image.height > large:
                return DeferredLargeFile()
            mode, kind, rotated = image_mode_text(image), str(image.format), 1 < orientation(image) <= 8
            pixels = _comparable_pixels(image, mode)
        height, width, _ = pixels.shape
        return ProbedImage(width, height, mode, kind, rotated, file_digest(path), _digest_of_pixels(pixels))
    except UnreadableImageError as error:
        if path.exists():
            return BadFile(error.reason)
        link = "is a link to a file that does not exist"
        return BadFile(link if path.is_symlink() else "was removed before it was read")
    except OSError as error:
        return BadFile(f"cannot be read: {error.strerror or error}")


def image_mode_text(image: Image.Image) -> str:
    """Return the mode of an image in plain words: RGB, gray, palette, RGB 16 bit."""
    if image.mode.startswith("I"):
        return GRAY_16
    high_bit_depth = ";16" in str(getattr(image, "tile", ""))
    name = MODE_NAMES.get(image.mode, image.mode)
    if image.mode in ("RGB", "L", "P") and "transparency" in image.info:
        name += " with alpha"
    return f"{name} 16 bit" if high_bit_depth else name


def _comparable_pixels(image: Image.Image, mode: str) -> Any:
    """Pixels (H, W, C) for comparing images: with alpha unless it is opaque, and all bits of a gray channel."""
    if not has_alpha(image):
        return decode(image, bit_depth=16 if mode in HIGH_BIT_DEPTH_MODES else 8)
    pixels = decode(image, channels=4)
    return pixels[..., :3] if (pixels[..., 3] == 255).all() else pixels


def _digest_of_pixels(pixels: Any) -> str:
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


LARGE_IMAGE_PIXELS = 32_000_000  # pixels; reading a larger image may take a gigabyte of memory
LARGE_IMAGE_WORKERS = 2  # workers that read large images at the same time
TIMEOUT = 60.0  # seconds for one file


def scan_images(
    paths: Sequence[Path], advance: Callable[[int], None] = lambda more: None, timeout: float = TIMEOUT
) -> dict[Path, ProbedImage | BadFile]:
    """Return the result for each path. `advance` is called with the number of files that were read since the last call.

    All files are read first, then the large images by few workers. Files whose worker was lost are read last, one at a time,
    because another file may have crashed that worker.
    """
    results: dict[Path, ProbedImage | BadFile] = {}
    unread: dict[type, list[Path]] = {DeferredLargeFile: [], WorkerLost: []}

    def read(waiting: Sequence[Path], num_workers: int, large: int | None = None, last: bool = False) -> None:
        probe = partial(probe_image, large=large)
        for index, result in map_in_workers(probe, waiting, num_workers, timeout):
            path = waiting[index]
            if isinstance(result, WorkerLost) and last:
                result = BadFile(result.reason)
            if isinstance(result, ProbedImage | BadFile):
                results[path] = result
                advance(1)
            else:
                unread[type(result)].append(path)

    read(paths, num_cores(), LARGE_IMAGE_PIXELS)
    read(unread[DeferredLargeFile], min(num_cores(), LARGE_IMAGE_WORKERS))
    read(unread[WorkerLost], 1, last=True)
    return {path: results[path] for path in paths}
