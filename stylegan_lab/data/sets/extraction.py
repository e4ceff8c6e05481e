"""Archives of strangers, unpacked: every name stays below the folder, every entry is a file, and no bomb goes off."""

import gzip
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from stylegan_lab.mistake import Mistake
from stylegan_lab.progress import progress

PART = 1 << 20
DEEPEST = 32
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    gzip.BadGzipFile,
    NotImplementedError,
    RuntimeError,
)
JUNK = re.compile(r"(^|/)(__MACOSX(/|$)|\._|\.DS_Store$|Thumbs\.db$)")


class Limits(NamedTuple):
    """Pictures hardly shrink in an archive: what grows a hundredfold is none."""

    entries: int = 1_000_000
    bytes: int = 100_000_000_000
    growth: int = 100


class Entry(NamedTuple):
    name: str
    content: IO[bytes] | None  # None is a folder


def unpacked(fetched: list[Path], into: Path) -> Path:
    """One archive's folder: the one folder that it consists of, else all of it."""
    extract(fetched[0], into)
    contents = list(into.iterdir())
    return contents[0] if len(contents) == 1 and contents[0].is_dir() else into


def extract(archive: Path, into: Path, limits: Limits = Limits()) -> None:  # noqa: B008
    """A zip or tar archive, below `into`, a folder that is thrown away if this fails."""
    claims = _Claims(archive, into, limits)
    with _told(archive, into), progress(f"unpacking {archive.name}", None) as advance:
        for name, content in _entries(archive):
            path = claims.claim(name, is_folder=content is None)
            if JUNK.search(name):
                continue
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    while part := content.read(PART):
                        claims.count(len(part))
                        file.write(part)
                        advance(len(part))


def gunzip(archive: Path, most: int) -> bytes:
    """A single packed file."""
    with _told(archive, archive.parent), gzip.open(archive) as packed:
        content = packed.read(most + 1)
    if len(content) > most:
        raise Mistake(f"{archive} unpacks to more than the {most:,} bytes that are expected; it was not unpacked")
    return content


def _entries(archive: Path) -> Iterator[Entry]:
    with archive.open("rb") as file:
        begins = file.read(512)
    if begins.startswith(b"PK"):
        return _of_zip(archive)
    if begins.startswith(b"\x1f\x8b") or begins[257:262] == b"ustar":
        return _of_tar(archive, packed=begins.startswith(b"\x1f\x8b"))
    raise Mistake(f"{archive} is neither a zip nor a tar archive; delete it and fetch it again")


def _of_zip(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(archive, name, "is a link" if stat.S_ISLNK(kind) else "is a device, not a file")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _unsafe(archive, name, "is packed in an unusual way")
            if info.is_dir():
                yield Entry(name, None)
            else:
                with packed.open(info) as content:
                    yield Entry(name, content)


def _of_tar(archive: Path, packed: bool) -> Iterator[Entry]:
    with gzip.open(archive) if packed else archive.open("rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as tar:
            for member in tar:
                if member.issym() or member.islnk():
                    raise _unsafe(archive, member.name, "is a link")
                if member.issparse() or not (member.isreg() or member.isdir()):
                    raise _unsafe(archive, member.name, "is a device, not a file")
                with tar.extractfile(member) or nullcontext() as content:
                    yield Entry(member.name, content)
        for _ in range(DEEPEST):  # to its end, where the sum stands that says all is well
            if not stream.read(PART):
                return
        raise EOFError("it goes on after its end")


class _Header(tarfile.TarInfo):
    """Of an entry; one that only describes the next is held in memory whole, and must be small."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if not header.isfile() and not header.isdir() and header.size > PART:
            raise tarfile.ReadError(f"a description of {header.size:,} bytes")
        return header


@dataclass
class _Claims:
    """What an archive has taken so far of names, and of room."""

    archive: Path
    into: Path
    limits: Limits
    files: set[str] = field(default_factory=set)
    folders: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    bytes: int = 0

    def claim(self, name: str, is_folder: bool) -> Path:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise Mistake(f"{self.archive} has more than {self.limits.entries:,} entries; it was not unpacked")
        parts = self._parts(name)
        for end in range(1, len(parts) + is_folder):
            folder = "/".join(parts[:end])
            if _key(folder) in self.files:
                raise _unsafe(self.archive, folder, "is there as a file and as a folder")
            if self.folders.setdefault(_key(folder), folder) != folder:
                raise _unsafe(self.archive, folder, f"differs from {self.folders[_key(folder)]} only by case")
        if not is_folder:
            whole = "/".join(parts)
            if _key(whole) in self.files or _key(whole) in self.folders:
                raise _unsafe(self.archive, whole, "is there twice, or again in another case")
            self.files.add(_key(whole))
        return self.into.joinpath(*parts)

    def count(self, more: int) -> None:
        self.bytes += more
        most = min(self.limits.bytes, self.limits.growth * self.archive.stat().st_size)
        if self.bytes > most:
            raise Mistake(
                f"{self.archive} unpacks to more than {most:,} bytes; it was taken for a bomb and not unpacked"
            )

    def _parts(self, name: str) -> list[str]:
        if not name or "\0" in name or "\\" in name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
            raise _unsafe(self.archive, name, "is no name of a file below a folder")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise _unsafe(self.archive, name, "leads out of the folder")
        if len(parts) > DEEPEST:
            raise _unsafe(self.archive, name, f"is more than {DEEPEST} folders deep")
        return parts


def _key(name: str) -> str:
    """Equal where a file system may take two names for one."""
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def _told(archive: Path, into: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise Mistake(f"{archive} is damaged ({error}); delete it and fetch it again") from None
    except OSError as error:
        free = shutil.disk_usage(into if into.exists() else into.parent).free
        raise Mistake(
            f"{into} cannot be written: {error.strerror or error} ({free / 1e9:.1f} GB are free there)"
        ) from None


def _unsafe(archive: Path, name: str, why: str) -> Mistake:
    shown = name.encode(errors="backslashreplace").decode()
    return Mistake(f"{archive}: its entry {shown!r} {why}; nothing was unpacked")
