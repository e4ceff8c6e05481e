"""Files that lie among the pictures and are none by their names; some of them are pictures all the same."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stylegan_lab.data.folders.findings import Finding, Item, number
from stylegan_lab.images.opening import SUFFIXES


class Beginning(NamedTuple):
    """The bytes by which a kind of file is known, and where they stand."""

    kind: str
    advice: str
    start: int
    mark: bytes


CONVERT, UNPACK = "save it as PNG or JPEG", "unpack it"
BEGINNINGS = (
    Beginning("JPEG", "name it .jpg to have it read", 0, b"\xff\xd8\xff"),
    Beginning("PNG", "name it .png to have it read", 0, b"\x89PNG"),
    Beginning("GIF", "name it .gif to have it read", 0, b"GIF8"),
    Beginning("WebP", "name it .webp to have it read", 8, b"WEBP"),
    Beginning("TIFF", "name it .tif to have it read", 0, b"II*\0"),
    Beginning("TIFF", "name it .tif to have it read", 0, b"MM\0*"),
    Beginning("AVIF", CONVERT, 4, b"ftypavif"),
    Beginning("HEIC", CONVERT, 4, b"ftyphei"),
    Beginning("HEIC", CONVERT, 4, b"ftypmif1"),
    Beginning("JPEG XL", CONVERT, 4, b"JXL "),
    Beginning("JPEG 2000", CONVERT, 4, b"jP  "),
    Beginning("a Photoshop file", CONVERT, 0, b"8BPS"),
    Beginning("a zip archive", UNPACK, 0, b"PK\3\4"),
    Beginning("a gzip archive", UNPACK, 0, b"\x1f\x8b"),
    Beginning("a tar archive", UNPACK, 257, b"ustar"),
)
LONGEST = max(beginning.start + len(beginning.mark) for beginning in BEGINNINGS)


def strangers(root: Path, files: Sequence[Path]) -> Iterator[Finding]:
    """`files` are relative to the root."""
    if not files:
        return
    kinds = Counter(path.suffix.lower() or "without a suffix" for path in files).most_common()
    told = ", ".join(f"{count:,} {kind}" for kind, count in kinds[:6]) + (", ..." if kinds[6:] else "")
    items = sorted((Item((path,), _what(root / path)) for path in files), key=lambda item: not item.note)
    note = f"; {items[0].files[0]} {items[0].note}" if items[0].note else ""
    yield Finding("other_files", False, f"{number(files, 'other file')} ({told}) passed over{note}", items)


def strangers_below(root: Path) -> Iterator[Path]:
    """Relative to the root; what is hidden is passed over, and so is what lies behind links."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() not in SUFFIXES:
                yield (Path(folder) / name).relative_to(root)


def _what(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(LONGEST)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    for beginning in BEGINNINGS:
        if head[beginning.start :].startswith(beginning.mark):
            return f"holds {beginning.kind}: {beginning.advice}"
    return ""
