"""What is below a folder: pictures in the order of their names, whatever bytes the names are made of; links are followed once."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from stylegan_lab.data.sets.catalogue import how_to_get
from stylegan_lab.images.opening import SUFFIXES
from stylegan_lab.images.unreadable import shown
from stylegan_lab.mistake import Mistake

__all__ = ["folders_in", "name_in", "pictures_below", "pictures_in", "same_name", "shown"]

Inode = tuple[int, int]


def pictures_below(folder: Path) -> list[Path]:
    """Every picture at any depth, by its suffix in any case. Hidden files and folders are passed over; a folder that is
    reached again through a link is not entered again. A link that leads nowhere is listed: reading says what it is."""
    return sorted(_below(folder, set()), key=lambda path: path.parts)


def pictures_in(folder: Path) -> list[Path]:
    """Those directly in the folder."""
    entries = [entry for entry in _entries(folder) if not _is_folder(entry)]
    return sorted(Path(entry.path) for entry in entries if _is_picture(entry))


def folders_in(folder: Path) -> list[Path]:
    """Those directly in the folder that are not hidden."""
    return sorted(Path(entry.path) for entry in _entries(folder) if _is_folder(entry))


def name_in(folder: Path, path: Path) -> str:
    """A picture's name below its folder, with `/` between, as list files and mates have it."""
    return path.relative_to(folder).as_posix()


def same_name(name: str) -> str:
    """Names that look the same are the same, however their accents were written down."""
    return unicodedata.normalize("NFC", name)


def _below(folder: Path, entered: set[Inode]) -> Iterator[Path]:
    entries, status = _entries(folder), folder.stat()
    if (inode := (status.st_dev, status.st_ino)) in entered:
        return
    entered.add(inode)
    later = []
    for entry in entries:
        if _is_folder(entry):
            later.append(entry)
        elif _is_picture(entry):
            yield Path(entry.path)
    for entry in sorted(
        later, key=lambda entry: (entry.is_symlink(), entry.name)
    ):  # a folder goes by its own name first
        yield from _below(Path(entry.path), entered)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        raise Mistake(f"{shown(folder)} does not exist{how_to_get(folder)}") from None
    except NotADirectoryError:
        raise Mistake(f"{shown(folder)} is not a folder") from None
    except OSError as error:
        raise Mistake(f"{shown(folder)} cannot be read: {error.strerror or error}") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in SUFFIXES
