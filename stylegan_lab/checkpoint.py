"""A checkpoint: one file of plain values and tensors, written whole, listed with its hash, and readable for ever."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from stylegan_lab.manifest import Entry, Manifest
from stylegan_lab.mistake import Mistake
from stylegan_lab.whole import written_whole

SCHEMA = 2
Contents = dict[str, Any]


def write_checkpoint(contents: Contents, path: Path) -> None:
    """The file and its entry in the folder's manifest; if that fails, everything is as it was."""
    contents["schema"] = SCHEMA
    try:
        path.parent.mkdir(exist_ok=True)
        with written_whole(path) as file:
            hashed = _Hashed(file)
            torch.save(contents, hashed)  # type: ignore[arg-type]
            size, sha256 = file.tell(), hashed.sha256.hexdigest()
            Manifest.of(path.parent).add(Entry.made_now(path.name, contents["iteration"], size, sha256))
    except (OSError, RuntimeError) as error:  # torch turns what a file raises into a RuntimeError
        reason = error.strerror if isinstance(error, OSError) else hashed.failure or error
        there = next(folder for folder in path.absolute().parents if folder.exists())
        free = _megabytes(shutil.disk_usage(there).free)
        raise Mistake(f"{path} cannot be written: {reason} ({free} are free there)") from error


def read_checkpoint(path: Path) -> Contents:
    """A checkpoint's contents, on the CPU, in today's schema; only tensors and plain values are ever loaded."""
    manifest = Manifest.of(path.parent)
    if not manifest.is_intact(path):
        whole = next(
            (other.stem for other in manifest.newest_first() if other != path and manifest.is_intact(other)), None
        )
        hint = f"; {whole} is whole, and {path.with_name(f'{whole}.ckpt')} can be given instead" if whole else ""
        raise Mistake(f"{path} cannot be read: it is damaged, or no checkpoint{hint}")
    try:
        contents: Contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Mistake(
            f"{path} cannot be read: it is no checkpoint, or holds more than the tensors and plain values that are loaded"
        ) from error
    if not isinstance(contents, dict) or not {"config", "state_dict", "iteration"} <= contents.keys():
        raise Mistake(f"{path} is not a checkpoint of stylegan_lab")
    schema = contents.get("schema", 1)
    if schema > SCHEMA:
        raise Mistake(f"{path} was written by a newer stylegan_lab (schema {schema}; this one reads up to {SCHEMA})")
    for migrate in MIGRATIONS[schema - 1 :]:
        migrate(contents)
    return contents | {"schema": SCHEMA}


def _to_2(contents: Contents) -> None:
    """Chance and image pools became one of each for every rank, and rates could be lowered on the way."""
    if (chance := contents.get("callbacks", {}).pop("Chance", None)) is not None:
        chance["device"] = chance.pop("cuda")[0] if chance["cuda"] else None
        contents["chance"] = [chance]
    if "pools" in contents:
        contents["pools"] = [contents["pools"]]
    contents["rate"] = 1.0


MIGRATIONS: list[Callable[[Contents], None]] = [_to_2]  # the first leads from schema 1 to 2


class _Hashed:
    """A file that is hashed as it is written: the hash is of what was meant, not of what the disk made of it."""

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


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
