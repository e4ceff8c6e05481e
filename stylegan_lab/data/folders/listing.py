"""Lists the images below a folder, sorted by name. It accepts any file name, and follows each link once."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from stylegan_lab.data.download.catalog import download_hint
from stylegan_lab.errors import UserError
from stylegan_lab.images.open_image import SUFFIXES, display_name


def images_below(folder: Path) -> list[Path]:
    """Return all images at any depth below a folder, recognized by their suffix in upper or lower case. Hidden files and folders
    are skipped. Links are followed, but a folder reached by several paths is listed only once. A broken link is listed, and
    raises an error when it is read."""
    return sorted(_below(folder, set()), key=lambda path: path.parts)


def relative_name(folder: Path, path: Path) -> str:
    """Return the name of an image relative to its folder. The separator is `/`, as in list files."""
    return path.relative_to(folder).as_posix()


def normalized_name(name: str) -> str:
    """Return the NFC form of a name. Two spellings of a name are then equal, however their accents are encoded."""
    return unicodedata.normalize("NFC", name)


def _below(folder: Path, visited: set[tuple[int, int]]) -> Iterator[Path]:
    entries, status = _entries(folder), folder.stat()
    if (inode := (status.st_dev, status.st_ino)) in visited:
        return
    visited.add(inode)
    subfolders = []
    for entry in entries:
        if _is_folder(entry):
            subfolders.append(entry)
        elif Path(entry.name).suffix.lower() in SUFFIXES:
            yield Path(entry.path)
    # A folder is listed under its own name, not that of a link.
    for entry in sorted(subfolders, key=lambda entry: (entry.is_symlink(), entry.name)):
        yield from _below(Path(entry.path), visited)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except FileNotFoundError:
        raise UserError(
            "data.folder_missing", f"{display_name(folder)} does not exist{download_hint(folder)}"
        ) from None
    except NotADirectoryError:
        raise UserError(
            "data.not_a_folder", f"{display_name(folder)} is not a folder; give a folder of images"
        ) from None
    except OSError as error:
        raise UserError(
            "data.folder_unreadable", f"{display_name(folder)} cannot be read: {error.strerror or error}"
        ) from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
