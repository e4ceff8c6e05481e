"""Opens image files safely: limits are checked from the header, before anything is decoded."""

import io
import json
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from stylegan_lab.errors import UserError

ZERO_WIDTH_JOINERS = "\u200c\u200d"  # used in Persian, in Indian scripts and in emoji


class UnreadableImageError(UserError):
    """An image file cannot be used; the message gives the reason. The error can be pickled, so that worker processes can raise
    it."""

    def __init__(self, path: Path, reason: str, code: str = "image.unreadable") -> None:
        super().__init__(code, f"{display_name(path)} {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason, self.code)


def display_name(name: Path | str) -> str:
    """Make a file name printable: undecodable bytes, line ends and control characters are escaped."""
    text = str(name).encode("utf-8", "backslashreplace").decode()
    return "".join(each if each.isprintable() or each in ZERO_WIDTH_JOINERS else repr(each)[1:-1] for each in text)


SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # recognized by content; the suffix does not matter
MAX_PIXELS_VARIABLE = "STYLEGAN_LAB_MAX_PIXELS"
DEFAULT_MAX_PIXELS = 89_478_485  # of an image, or of the pages of one: Pillow's own limit
MAX_SCANS = 200  # of a progressive JPEG; encoders write about ten
JPEG_TAIL = 65536  # the last bytes of a JPEG, in which its end is searched: cameras append data
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
END_BYTES = 4096  # in which the end of a GIF is looked for: some programs append zeros
TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF tags
ROW_NAMES = "rows"  # the key of a text in a PNG file: what the rows of a grid of images are


def pixel_limit() -> int:
    """Return the largest number of pixels that an image may have. The limit is set by an environment variable, so that it also
    applies in worker processes."""
    value = os.environ.get(MAX_PIXELS_VARIABLE) or str(DEFAULT_MAX_PIXELS)
    if not value.isdecimal() or int(value) == 0:
        raise UserError(
            "image.invalid_pixel_limit",
            f"{MAX_PIXELS_VARIABLE}={value} is not a positive whole number; set it to a number of pixels, "
            f"such as {DEFAULT_MAX_PIXELS}",
        )
    return int(value)


@contextmanager
def open_image(path: Path, contents: bytes | None = None, max_pixels: int | None = None) -> Iterator[Image.Image]:
    """Open an image without decoding its pixels. Any error in the `with` block becomes an UnreadableImageError.

    Args:
        contents: The bytes of the image, if they are in memory. `path` is then used only as a name in error messages.
        max_pixels: The limit for this image. None: the limit of `pixel_limit()`.
    """
    limit = max_pixels or pixel_limit()
    if limit > (Image.MAX_IMAGE_PIXELS or limit):
        Image.MAX_IMAGE_PIXELS = limit
    try:
        with _open_file(path) if contents is None else io.BytesIO(contents) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata, and sizes, which are checked here
            if (size := _webp_size(file.read(30))) is not None:
                _check_size(path, *size, limit)  # before Pillow opens a WebP, which allocates its memory
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                _check_size(path, image.width, image.height, limit)
                _check_tiles(path, image, limit)
                _check_scans(path, image, file)
                yield image
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(
            path, "is not an image that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF)", "image.unknown_format"
        ) from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(path, f"has too many pixels; {limit_text(limit)}", "image.too_many_pixels") from None
    except FileNotFoundError:
        raise UnreadableImageError(path, "does not exist", "image.not_found") from None
    except UserError as error:
        raise UnreadableImageError(path, f"cannot be read: {error}", error.code) from None
    except Exception as error:  # decoders raise many kinds of errors on damaged files
        code = "image.truncated" if "truncated" in str(error).lower() else "image.unreadable"
        raise UnreadableImageError(path, f"cannot be read: {_reason(error)}", code) from None


def read_row_names(path: Path) -> list[str]:
    """Return the descriptions of the rows of an image grid that `write_image` stored in the file, or an empty list if there are
    none."""
    try:
        with open_image(path) as image:
            names = json.loads(image.info.get(ROW_NAMES, "[]"))
    except UnreadableImageError:
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def has_end(path: Path) -> bool:
    """Return whether a file has the end marker or length of its format, which a truncated file lacks. A file without it may still
    be complete: some programs append data."""
    try:
        with path.open("rb") as file:
            begin, size = file.read(12), file.seek(0, os.SEEK_END)
            is_jpeg = begin.startswith(b"\xff\xd8")
            file.seek(max(0, size - (JPEG_TAIL if is_jpeg else END_BYTES)))
            end = file.read()
    except FileNotFoundError:
        raise UnreadableImageError(path, "does not exist", "image.not_found") from None
    except OSError as error:
        raise UnreadableImageError(path, f"cannot be read: {_reason(error)}") from None
    if is_jpeg:  # an end before the last scan is that of a thumbnail
        return end.rfind(b"\xff\xd9") > end.rfind(b"\xff\xda")
    if begin.startswith(b"\x89PNG"):
        return end.endswith(PNG_END)
    if begin.startswith(b"GIF8"):
        return end.rstrip(b"\0").endswith(b";")
    if begin.startswith(b"RIFF"):
        return size >= 8 + int.from_bytes(begin[4:8], "little")
    return True


def _check_size(path: Path, width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise UnreadableImageError(path, f"has {width}x{height} pixels; {limit_text(limit)}", "image.too_many_pixels")


def limit_text(limit: int) -> str:
    """Describe the pixel limit in an error message. The environment variable is named only if it sets this limit."""
    return f"at most {limit:,} are read" + (f" ({MAX_PIXELS_VARIABLE})" if limit == pixel_limit() else "")


def _open_file(path: Path) -> BinaryIO:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableImageError(path, "is a folder, not an image", "image.not_a_file")
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would block
        raise UnreadableImageError(path, "is not a file", "image.not_a_file")
    if status.st_size == 0:
        raise UnreadableImageError(path, "is empty", "image.empty_file")
    return path.open("rb")


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """Read width and height from the first 30 bytes of a WebP, which has three formats (VP8X, VP8L, VP8)."""
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _check_tiles(path: Path, image: Image.Image, limit: int) -> None:
    """Check the tile size of a TIFF: a tile is decoded completely even if the image covers little of it."""
    tags = getattr(image, "tag_v2", {})
    if TILE_WIDTH in tags and TILE_LENGTH in tags:
        _check_size(path, int(tags[TILE_WIDTH]), int(tags[TILE_LENGTH]), limit)


def _check_scans(path: Path, image: Image.Image, file: BinaryIO) -> None:
    """Check the number of scans of a progressive JPEG: each passes over all pixels, so a small file could take hours."""
    if "progressive" in image.info:
        position = file.tell()
        file.seek(0)
        scans = file.read().count(b"\xff\xda")
        file.seek(position)
        if scans > MAX_SCANS:
            raise UnreadableImageError(
                path,
                f"is a JPEG of {scans} scans; at most {MAX_SCANS} are read. Save it as a baseline JPEG",
                "image.too_many_scans",
            )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return str(error) or type(error).__name__
