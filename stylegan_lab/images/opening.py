"""A picture file opened with care: its header is judged before anything is decoded, and every failure has one name."""

import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from stylegan_lab.images.unreadable import Unreadable

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # what a file holds, whatever its suffix says
MOST_PIXELS = 100_000_000
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture, its pixels not yet decoded. Whatever Pillow raises while it is used becomes `Unreadable`."""
    try:
        _judge_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, and of sizes that are judged here
            with Image.open(path, formats=FORMATS) as picture:
                judge_size(path, *picture.size)
                _judge_tiles(path, picture)
                yield picture
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(path, "is not a picture that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF)") from None
    except FileNotFoundError:
        raise Unreadable(path, "does not exist") from None
    except Exception as error:  # damaged files make decoders raise whatever they stumble over
        raise Unreadable(path, f"cannot be read: {_reason(error)}") from None


def judge_size(path: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise Unreadable(path, f"has {width}x{height} pixels; at most {MOST_PIXELS:,} are read")


def _judge_file(path: Path) -> None:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable(path, "is a folder, not a picture")
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise Unreadable(path, "is not a file")
    if status.st_size == 0:
        raise Unreadable(path, "is empty")
    with path.open("rb") as file:
        if (size := _webp_size(file.read(30))) is not None:  # Pillow makes room for a WebP as it opens it
            judge_size(path, *size)


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """Width and height of each of WebP's three kinds, from its first 30 bytes."""
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _judge_tiles(path: Path, picture: Image.Image) -> None:
    """The tiles of a TIFF are decoded whole, however little of one is in the picture."""
    tags = getattr(picture, "tag_v2", {})
    if TILE_WIDTH in tags and TILE_LENGTH in tags:
        judge_size(path, int(tags[TILE_WIDTH]), int(tags[TILE_LENGTH]))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    return str(error) or type(error).__name__
