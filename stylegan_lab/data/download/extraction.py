"""Extracts downloaded archives safely: no file is written outside the target folder, links and devices are refused, and the size
and the number of entries are limited."""

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

from stylegan_lab.console import report_progress
from stylegan_lab.errors import UserError

CHUNK_BYTES = 1 << 20
MAX_DEPTH = 32

DAMAGE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, RuntimeError)
JUNK = re.compile(r"(^|/)(__MACOSX(/|$)|\._|\.DS_Store$|Thumbs\.db$)")


class ExtractionLimits(NamedTuple):
    """Limits against archive bombs. Images barely compress, so an archive that grows a hundredfold is not an archive of images."""

    entries: int = 1_000_000
    bytes: int = 100_000_000_000
    max_ratio: int = 100


ArchiveEntry = tuple[str, IO[bytes] | None]  # name and content; None for a folder


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Within the context, return an empty folder next to the target. The caller fills it and renames it to the target; otherwise it
    is removed at the end."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
    try:
        partial.mkdir()
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def extract_archive(archives: list[Path], into: Path, limits: ExtractionLimits = ExtractionLimits()) -> Path:  # noqa: B008
    """Extract the only archive of the list. Returns its top folder if that is its only entry, otherwise `into`."""
    extract(archives[0], into, limits)
    contents = list(into.iterdir())
    return contents[0] if len(contents) == 1 and contents[0].is_dir() else into


def extract(archive: Path, into: Path, limits: ExtractionLimits = ExtractionLimits()) -> None:  # noqa: B008
    """Extract a zip or tar archive into a folder. The caller removes the folder if this fails."""
    checks = _EntryChecks(archive, into, limits)
    with _user_errors(archive, into), report_progress(f"extracting {archive.name}", None) as advance:
        for name, content in _entries(archive):
            path = checks.check(name, is_folder=content is None)
            if JUNK.search(name):
                continue
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    while chunk := content.read(CHUNK_BYTES):
                        checks.count(len(chunk))
                        file.write(chunk)
                        advance(len(chunk))


def gunzip(archive: Path, limit: int) -> bytes:
    """Return the content of a gzip file, which may have at most `limit` bytes."""
    with _user_errors(archive, archive.parent), gzip.open(archive) as packed:
        content = packed.read(limit + 1)
    if len(content) > limit:
        raise UserError(
            "download.archive_too_large",
            f"{archive} expands to more than the {limit:,} bytes that are expected, so it was not extracted; "
            "delete it and download it again",
        )
    return content


def _entries(archive: Path) -> Iterator[ArchiveEntry]:
    with archive.open("rb") as file:
        begins = file.read(512)
    if begins.startswith(b"PK"):
        return _zip_entries(archive)
    if begins.startswith(b"\x1f\x8b") or begins[257:262] == b"ustar":
        return _tar_entries(archive, packed=begins.startswith(b"\x1f\x8b"))
    raise UserError(
        "download.not_an_archive", f"{archive} is neither a zip nor a tar archive; delete it and download it again"
    )


def _zip_entries(archive: Path) -> Iterator[ArchiveEntry]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(archive, name, "is a link" if stat.S_ISLNK(kind) else "is a device, not a file")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _unsafe(archive, name, "uses an unsupported compression method")
            if info.is_dir():
                yield name, None
            else:
                with packed.open(info) as content:
                    yield name, content


def _tar_entries(archive: Path, packed: bool) -> Iterator[ArchiveEntry]:
    with gzip.open(archive) if packed else archive.open("rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_BoundedTarInfo) as tar:
            for member in tar:
                if member.issym() or member.islnk():
                    raise _unsafe(archive, member.name, "is a link")
                if member.issparse() or not (member.isreg() or member.isdir()):
                    raise _unsafe(archive, member.name, "is a device, not a file")
                with tar.extractfile(member) or nullcontext() as content:
                    yield member.name, content
        for _ in range(MAX_DEPTH):  # read to the end, where gzip stores its checksum
            if not stream.read(CHUNK_BYTES):
                return
        raise EOFError("data after its end")


class _BoundedTarInfo(tarfile.TarInfo):
    """A tar header. Headers that describe the next entry are read into memory, so their size is limited."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_BoundedTarInfo":
        header = super().frombuf(buf, encoding, errors)
        if not header.isfile() and not header.isdir() and header.size > CHUNK_BYTES:
            raise tarfile.ReadError(f"a description of {header.size:,} bytes")
        return header


@dataclass
class _EntryChecks:
    """Checks the name of each entry, and counts entries and bytes."""

    archive: Path
    into: Path
    limits: ExtractionLimits
    files: set[str] = field(default_factory=set)
    folders: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    bytes: int = 0

    def check(self, name: str, is_folder: bool) -> Path:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise UserError(
                "download.archive_too_large",
                f"{self.archive} has more than {self.limits.entries:,} entries, so it was not extracted; check where it comes from",
            )
        parts = self._parts(name)
        for end in range(1, len(parts) + is_folder):
            folder = "/".join(parts[:end])
            if _key(folder) in self.files:
                raise _unsafe(self.archive, folder, "is both a file and a folder")
            if self.folders.setdefault(_key(folder), folder) != folder:
                raise _unsafe(self.archive, folder, f"differs from {self.folders[_key(folder)]} only by case")
        if not is_folder:
            path = "/".join(parts)
            if _key(path) in self.files or _key(path) in self.folders:
                raise _unsafe(self.archive, path, "occurs twice, or in another case")
            self.files.add(_key(path))
        return self.into.joinpath(*parts)

    def count(self, num_bytes: int) -> None:
        self.bytes += num_bytes
        limit = min(self.limits.bytes, self.limits.max_ratio * self.archive.stat().st_size)
        if self.bytes > limit:
            raise UserError(
                "download.archive_too_large",
                f"{self.archive} expands to more than {limit:,} bytes, so it was not extracted; it is probably an archive bomb, "
                "so check where it comes from",
            )

    def _parts(self, name: str) -> list[str]:
        if not name or "\0" in name or "\\" in name or name.startswith("/") or re.match(r"[A-Za-z]:", name):
            raise _unsafe(self.archive, name, "is not a relative path")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise _unsafe(self.archive, name, "leads out of the folder")
        if len(parts) > MAX_DEPTH:
            raise _unsafe(self.archive, name, f"is more than {MAX_DEPTH} folders deep")
        return parts


def _key(name: str) -> str:
    """Equal for two names that a file system may treat as the same."""
    return unicodedata.normalize("NFC", name).casefold()


@contextmanager
def _user_errors(archive: Path, into: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise UserError(
            "download.archive_damaged", f"{archive} is damaged ({error}); delete it and download it again"
        ) from None
    except OSError as error:
        free = shutil.disk_usage(into if into.exists() else into.parent).free
        reason = f"{error.strerror or error} ({free / 1e9:.1f} GB are free there)"
        raise UserError("download.not_writable", f"{into} cannot be written: {reason}") from None


def _unsafe(archive: Path, name: str, why: str) -> UserError:
    shown = name.encode(errors="backslashreplace").decode()
    return UserError(
        "download.archive_unsafe",
        f"{archive} was not extracted, because its entry {shown!r} {why}; check where the archive comes from",
    )
