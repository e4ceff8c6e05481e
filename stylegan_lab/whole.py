"""Files written whole or not at all: beside the target first, synced, then put in its place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the target's place when the block ends well, and is gone when it does not."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(target.parent)


def write_text(target: Path, text: str) -> None:
    with written_whole(target) as file:
        file.write(text.encode())


def sweep(folder: Path) -> None:
    """Remove what a process that was killed while writing left behind. Call it while nobody else writes there."""
    for partial in folder.glob(".*"):
        if partial.suffix[1:].isdigit():
            partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where folders can be synced."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
