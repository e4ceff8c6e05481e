"""Atomic writes: a file is written next to its target, synced, and renamed. The module also checks the output paths of commands."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stylegan_lab.errors import UserError


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces the target when the block succeeds, and is deleted when it fails."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # where folders can be synced, so that the rename survives a power failure
        handle = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text_atomic(target: Path, text: str) -> None:
    with atomic_write(target) as file:
        file.write(text.encode())


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes that were killed while writing. Call it while nothing else writes there."""
    for partial in folder.glob(".*"):
        if partial.suffix[1:].isdigit():
            partial.unlink(missing_ok=True)


def make_writable(folder: Path) -> None:
    """Create the folder if it does not exist, and check that files can be written in it."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def check_writable(option: str, path: Path) -> None:
    """Refuse a path that cannot be written. Commands call this before long work, so that its result is not lost at the end."""
    if path.is_dir():
        raise UserError(
            "cli.output_is_folder",
            f"{option} {path} is a folder; give the name of a file, or put {option} after the other arguments",
        )
    try:
        make_writable(path.parent)
    except OSError as error:
        raise UserError(
            "cli.output_not_writable", f"{option} {path} cannot be written: {error.strerror}; give another path"
        ) from None


def write_output_file(option: str, path: Path, text: str) -> None:
    check_writable(option, path)
    try:
        write_text_atomic(path, text)
    except OSError as error:
        raise UserError(
            "cli.output_not_writable", f"{option} {path} cannot be written: {error.strerror}; give another path"
        ) from None
    print(f"written    {path}")
