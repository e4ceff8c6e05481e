"""A picture file opened with care: its header is judged before anything is decoded, and every failure has one name."""

import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from stylegan_lab.images.unreadable import Unreadable

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # what a file holds, whatever its suffix says
MOST_PIXELS = 100_000_000
MOST_BYTES = {8: 32, 16: 64}  # taken for each pixel beside the file itself, by the depth that is read
MOST_SCANS = 200  # cameras and programs write about ten
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture, its pixels not yet decoded. Whatever Pillow raises while it is used becomes `Unreadable`."""
    try:
        _judge_file(path)
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, and of sizes that are judged here
            if (size := _webp_size(file.read(30))) is not None:  # Pillow makes room for a WebP as it opens it
                _judge_size(path, *size)
            file.seek(0)
            with Image.open(file, formats=FORMATS) as picture:
                _judge_size(path, *picture.size)
                _judge_tiles(path, picture)
                _judge_scans(path, picture, file)
                yield picture
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(path, "is not a picture that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF)") from None
    except Image.DecompressionBombError:
        raise Unreadable(path, f"has far too many pixels; at most {MOST_PIXELS:,} are read") from None
    except FileNotFoundError:
        raise Unreadable(path, "does not exist") from None
    except Exception as error:  # damaged files make decoders raise whatever they stumble over
        raise Unreadable(path, f"cannot be read: {_reason(error)}") from None


def _judge_size(path: Path, width: int, height: int) -> None:
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
        _judge_size(path, int(tags[TILE_WIDTH]), int(tags[TILE_LENGTH]))


def _judge_scans(path: Path, picture: Image.Image, file: BinaryIO) -> None:
    """Each scan of a progressive JPEG goes over the whole picture: a small file may hold enough for hours."""
    if "progressive" in picture.info:
        place = file.tell()
        file.seek(0)
        scans = file.read().count(b"\xff\xda")
        file.seek(place)
        if scans > MOST_SCANS:
            raise Unreadable(path, f"is a JPEG of {scans} scans; at most {MOST_SCANS} are read")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    return str(error) or type(error).__name__
