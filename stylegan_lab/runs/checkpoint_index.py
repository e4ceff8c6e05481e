"""The index of a checkpoint folder (manifest.json): its checkpoints in the order they were written, with their hashes."""

import json
import os
import shutil
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.files.download import file_digest

FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class CheckpointEntry:
    file: str
    iteration: int
    bytes: int
    sha256: str
    written: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%S%z"))


class CheckpointIndex:
    """The entries of one folder, oldest first, and the name of the best checkpoint.

    An entry is written just before its file is moved into place. Every file is therefore listed, even if the process is
    killed in between, and the newest listed file with the right hash is the newest checkpoint.
    """

    def __init__(self, folder: Path, entries: list[CheckpointEntry], best: str | None) -> None:
        self.folder, self.entries, self.best = folder, entries, best

    @classmethod
    def read(cls, folder: Path) -> "CheckpointIndex":
        """Read the index of a folder. It is empty if manifest.json is missing or damaged."""
        try:
            content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
            return cls(folder, [CheckpointEntry(**entry) for entry in content["checkpoints"]], content["best"])
        except (OSError, ValueError, KeyError, TypeError):
            return cls(folder, [], None)

    def write(self) -> None:
        content = {"schema": 1, "best": self.best, "checkpoints": [asdict(entry) for entry in self.entries]}
        write_text_atomic(self.folder / FILE_NAME, json.dumps(content, indent=2) + "\n")

    def add(self, entry: CheckpointEntry) -> None:
        self.entries.append(entry)
        self.write()

    def newest_first(self) -> list[Path]:
        """Return the checkpoint files that exist, in the order in which they are tried when a run is resumed."""
        listed = [self.folder / entry.file for entry in reversed(self.entries)]
        others = sorted(self.folder.glob("[0-9]*.ckpt"), reverse=True)
        known = [path for path in dict.fromkeys(listed if self.entries else others) if path.is_file()]
        # In a copied folder, last.ckpt and best.ckpt may be files of their own and not links to others.
        last, best = (
            [path for path in [self.folder / name] if path.is_file() and not any(map(path.samefile, known))]
            for name in ("last.ckpt", "best.ckpt")
        )
        newest = 1 if known and (not self.entries or known[0] == listed[0]) else 0
        return [*known[:newest], *last, *known[newest:], *best]

    def path_of(self, name: str) -> Path | None:
        """Return the checkpoint file for `last`, `best` or the name of a file."""
        if name == "last":
            return next(iter(self.newest_first()), None)
        path = self.folder / (self.best if name == "best" and self.best else f"{name}.ckpt")
        return path if path.is_file() else None

    def is_intact(self, path: Path) -> bool:
        """Check a file against its hash or, if it is not listed, against the checksums of the zip format."""
        hashes = {entry.sha256 for entry in self.entries if entry.file == path.name}
        if path.stem in ("last", "best"):
            hashes = {entry.sha256 for entry in self.entries}
        if hashes:
            return file_digest(path) in hashes
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        except (OSError, zipfile.BadZipFile):
            return False

    def set_newest(self, path: Path, iteration: int) -> None:
        """Make `path` the newest checkpoint, even if checkpoints of later iterations exist, because training continues from
        `path`."""
        if path.name not in {entry.file for entry in self.entries}:
            self.entries.append(CheckpointEntry(path.name, iteration, path.stat().st_size, file_digest(path)))
        self.entries.sort(key=lambda entry: entry.file == path.name)
        self.write()
        self._link("last", path)

    def link_and_prune(self, path: Path, is_best: bool, keep: int | None) -> None:
        """Link `path`, which was just written, as `last` (and as `best` if `is_best`). Delete all checkpoints except the
        `keep` newest and the best."""
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
            if Path(file).stem.isdigit():  # other names are the user's own
                (self.folder / file).unlink(missing_ok=True)

    def _link(self, name: str, path: Path) -> None:
        """Hard-link `path` under another name, or copy it where the file system has no links."""
        target, partial = self.folder / f"{name}.ckpt", self.folder / f".{name}.ckpt.{os.getpid()}"
        partial.unlink(missing_ok=True)
        try:
            os.link(path, partial)
        except OSError:
            shutil.copyfile(path, partial)
        partial.replace(target)
        partial.unlink(missing_ok=True)  # renaming one link over another of the same file leaves both
