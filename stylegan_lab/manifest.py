"""The manifest: which checkpoints a folder holds, in the order they were written, and what each must hash to."""

import hashlib
import json
import os
import shutil
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from stylegan_lab.whole import write_text

NAME = "manifest.json"


@dataclass(frozen=True)
class Entry:
    file: str
    iteration: int
    bytes: int
    sha256: str
    written: str

    @classmethod
    def made_now(cls, file: str, iteration: int, size: int, sha256: str) -> "Entry":
        return cls(file, iteration, size, sha256, time.strftime("%Y-%m-%dT%H:%M:%S%z"))


class Manifest:
    """A checkpoint is listed just before it is put in its place: whatever moment a process dies at, every file that is
    there is listed, and the list's newest file that hashes as it should is the newest there is."""

    def __init__(self, folder: Path, entries: list[Entry], best: str | None) -> None:
        self.folder, self.entries, self.best = folder, entries, best

    @classmethod
    def of(cls, folder: Path) -> "Manifest":
        """Empty where there is none, or none that can be read."""
        try:
            said = json.loads((folder / NAME).read_text(encoding="utf-8"))
            return cls(folder, [Entry(**entry) for entry in said["checkpoints"]], said["best"])
        except (OSError, ValueError, KeyError, TypeError):
            return cls(folder, [], None)

    def write(self) -> None:
        said = {"schema": 1, "best": self.best, "checkpoints": [asdict(entry) for entry in self.entries]}
        write_text(self.folder / NAME, json.dumps(said, indent=2) + "\n")

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.write()

    def newest_first(self) -> list[Path]:
        """Every checkpoint there is, in the order in which to go back."""
        listed = [self.folder / entry.file for entry in reversed(self.entries)]
        others = sorted(self.folder.glob("[0-9]*.ckpt"), reverse=True)
        known = [path for path in dict.fromkeys(listed if self.entries else others) if path.is_file()]
        # The names stand for files of their own in a copied folder, and in one of before there was a manifest.
        names = [self.folder / "last.ckpt", self.folder / "best.ckpt"]
        last, best = ([path] if path.is_file() and not _among(path, known) else [] for path in names)
        newest = 1 if known and (not self.entries or known[0] == listed[0]) else 0
        return [*known[:newest], *last, *known[newest:], *best]

    def named(self, name: str) -> Path | None:
        """The file behind `last` or `best`, or a file of that name."""
        if name == "last":
            return next(iter(self.newest_first()), None)
        path = self.folder / (self.best if name == "best" and self.best else f"{name}.ckpt")
        return path if path.is_file() else None

    def is_intact(self, path: Path) -> bool:
        """Whether a file is what was written: by its hash, or, if none is listed, by the checksums inside it."""
        right = {entry.sha256 for entry in self.entries if entry.file == path.name}
        if path.stem in ("last", "best"):
            right = {entry.sha256 for entry in self.entries}
        return _hash(path) in right if right else _is_sound_zip(path)

    def make_last(self, path: Path, iteration: int) -> None:
        """Go on from here: a later checkpoint, of a future that is given up, is no longer the newest."""
        if path.name not in {entry.file for entry in self.entries}:
            self.entries.append(Entry.made_now(path.name, iteration, path.stat().st_size, _hash(path)))
        self.entries.sort(key=lambda entry: entry.file == path.name)
        self.write()
        self._link("last", path)

    def settle(self, path: Path, is_best: bool, keep: int | None) -> None:
        """After `path` was written: name it, and let go of all but the `keep` newest and the best."""
        self.best = path.name if is_best else self.best
        newest = list(dict.fromkeys(entry.file for entry in reversed(self.entries)))
        kept = {*newest[:keep], self.best}
        latest = {entry.file: entry for entry in self.entries}
        self.entries = [entry for entry in latest.values() if entry.file in kept]
        self.entries.sort(key=lambda entry: -newest.index(entry.file))
        self.write()
        self._link("last", path)
        if is_best:
            self._link("best", path)
        for file in set(newest) - kept:
            if Path(file).stem.isdigit():  # others were put there by someone
                (self.folder / file).unlink(missing_ok=True)

    def _link(self, name: str, path: Path) -> None:
        """The same file under another name; a copy where the disk knows no links."""
        target, partial = self.folder / f"{name}.ckpt", self.folder / f".{name}.ckpt.{os.getpid()}"
        partial.unlink(missing_ok=True)
        try:
            os.link(path, partial)
        except OSError:
            shutil.copyfile(path, partial)
        partial.replace(target)
        partial.unlink(missing_ok=True)  # renaming one link over another of the same file leaves both


def _among(path: Path, others: list[Path]) -> bool:
    return any(path.samefile(other) for other in others)


def _hash(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            sha256.update(part)
    return sha256.hexdigest()


def _is_sound_zip(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False
