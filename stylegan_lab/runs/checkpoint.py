"""Checkpoints: one file of plain values and tensors, written atomically and listed with its hash."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import atomic_write
from stylegan_lab.runs.checkpoint_index import CheckpointEntry, CheckpointIndex

SCHEMA = 1
Contents = dict[str, Any]


def write_checkpoint(contents: Contents, path: Path) -> None:
    """Write a checkpoint, and list it in the index of its folder. If writing fails, the folder is unchanged."""
    contents["schema"] = SCHEMA
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as file:
            hashed = _HashingFile(file)
            torch.save(contents, hashed)  # type: ignore[arg-type]
            size, sha256 = file.tell(), hashed.sha256.hexdigest()
            CheckpointIndex.read(path.parent).add(CheckpointEntry(path.name, contents["iteration"], size, sha256))
    except (OSError, RuntimeError) as error:  # torch turns what a file raises into a RuntimeError
        reason = error.strerror if isinstance(error, OSError) else hashed.failure or error
        there = next(folder for folder in path.absolute().parents if folder.exists())
        free = shutil.disk_usage(there).free / 1e6
        raise UserError(
            "checkpoint.not_writable", f"{path} cannot be written: {reason} ({free:,.0f} MB are free there)"
        ) from error


def read_checkpoint(path: Path) -> Contents:
    """Verify a checkpoint by its hash, and load it. Both steps read the whole file."""
    verify_checkpoint(path)
    return load_checkpoint(path)


def verify_checkpoint(path: Path) -> Path:
    """Return the path if the file is intact. Refuse a file whose hash differs from the index of its folder or, if the file
    is not in the index, whose zip checksums are wrong."""
    index = CheckpointIndex.read(path.parent)
    if not index.is_intact(path):
        intact = next((other for other in index.newest_first() if other != path and index.is_intact(other)), None)
        hint = f"; {path.with_name(intact.name)} is intact, use it instead" if intact else "; use another checkpoint"
        raise UserError("checkpoint.damaged", f"{path} cannot be read: it is damaged, or is not a checkpoint{hint}")
    return path


def load_checkpoint(path: Path) -> Contents:
    """Load the contents of a verified checkpoint on the CPU, converted to the current schema. Only tensors and plain values
    are loaded."""
    try:
        contents: Contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(
            "checkpoint.unreadable",
            f"{path} cannot be read: it is not a checkpoint, or has objects other than tensors and plain values; use another one",
        ) from error
    if not isinstance(contents, dict) or not {"config", "state_dict", "iteration"} <= contents.keys():
        raise UserError(
            "checkpoint.unknown_format",
            f"{path} is not a checkpoint of stylegan_lab; stylegan-lab import reads weights of other projects",
        )
    schema = contents.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise UserError(
            "checkpoint.unknown_format",
            f"{path} is not a checkpoint of stylegan_lab: it has no schema number; use another one",
        )
    if schema > SCHEMA:
        raise UserError(
            "checkpoint.too_new",
            f"{path} was written by a newer stylegan_lab (schema {schema}; this one reads up to {SCHEMA}); update stylegan_lab",
        )
    for migrate in MIGRATIONS[schema - 1 :]:
        migrate(contents)
    return contents | {"schema": SCHEMA}


# MIGRATIONS[n - 1] changes contents of schema n to schema n + 1, in place. Schema 1 is the first that was released.
MIGRATIONS: list[Callable[[Contents], None]] = []


class _HashingFile:
    """Hashes the bytes as they are written, so that the hash also reveals bytes that the disk stored wrongly."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.failure: str | None = None

    def write(self, part: bytes) -> int:
        self.sha256.update(part)
        try:
            return self._file.write(part)
        except OSError as error:
            self.failure = error.strerror
            raise

    def flush(self) -> None:
        self._file.flush()
