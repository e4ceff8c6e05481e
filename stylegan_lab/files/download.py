"""Downloads files, checks their size and hash, and resumes interrupted downloads."""

import errno
import hashlib
import os
import re
import shutil
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from stylegan_lab.console import format_amount, report_progress
from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import make_writable
from stylegan_lab.files.file_lock import file_lock

CACHE = "STYLEGAN_LAB_CACHE"
TIMEOUT_SECONDS = 30.0  # seconds without data after which a server counts as dead
CHUNK_BYTES = 1 << 16
RESERVED_BYTES = 100_000_000  # bytes to leave free on the disk

HTTP_CODES = {  # by status: the code of the error, and what is wrong
    401: ("download.refused", "the server asks for a password"),
    403: ("download.refused", "the server does not allow it"),
    404: ("download.not_found", "there is no such file"),
    410: ("download.not_found", "the file has been removed"),
    429: ("download.unreachable", "too many requests; try again later"),
}


class UnreachableError(UserError):
    """The file cannot be downloaded from this address; another address may have it."""


class ExpectedChecksum(NamedTuple):
    """The expected size and hashes of a file. A hash may be shortened to its first digits."""

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None


UNCHECKED = ExpectedChecksum()


def download(urls: Sequence[str], place: Path, expected: ExpectedChecksum = UNCHECKED) -> Path:
    """Download to `place` from the first address that works. If the file exists already, it is only checked against `expected`."""
    if not place.exists():
        try:
            make_writable(place.parent)
        except OSError as error:
            raise UserError("download.not_writable", f"{place.parent} cannot be written: {error.strerror}") from None
        with file_lock(place):
            if not place.exists():
                _download(urls, place, expected)
                return place
    if wrong := checksum_mismatch(place, expected):
        raise UserError(
            "download.checksum_mismatch",
            f"{place} is not the published file ({wrong}); delete it, and download {urls[0]} to this path",
        )
    return place


def cache_dir() -> Path:
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "stylegan_lab")


def checksum_mismatch(file: Path, expected: ExpectedChecksum) -> str | None:
    """Return how the file differs from the expected size and hashes, or None if it matches."""
    size = file.stat().st_size
    if expected.size not in (None, size):
        return f"{size:,} bytes, expected {expected.size:,}"
    for kind, begins in (("SHA-256", expected.sha256), ("MD5", expected.md5)):
        if begins and not (found := file_digest(file, kind.replace("-", ""))).startswith(begins):
            return f"{kind} {found[:8]}..., expected {begins[:8]}..."
    return None


def file_digest(file: Path, kind: str = "SHA256") -> str:
    counted = hashlib.new(kind, usedforsecurity=False)
    with file.open("rb") as content:
        while part := content.read(1 << 20):
            counted.update(part)
    return counted.hexdigest()


def _download(urls: Sequence[str], place: Path, expected: ExpectedChecksum) -> None:
    first: UnreachableError | None = None
    for url in urls:
        download = _Download(url, place, expected)
        try:
            download.run()
            break
        except UnreachableError as error:
            first = first or error
            if url == urls[-1]:
                raise (error if download.resumable() else first) from None
        finally:
            if not download.resumable():
                download.forget()
    try:
        if wrong := checksum_mismatch(download.partial, expected):
            advice = f"download it in another way and save it as {place}"
            raise UserError(
                "download.checksum_mismatch", f"the file at {url} is not the expected one ({wrong}); {advice}"
            )
        download.partial.replace(place)
    finally:
        download.forget()


class _Download:
    """One attempt at one address. The file stays next to its place until it is complete."""

    def __init__(self, url: str, place: Path, expected: ExpectedChecksum):
        self.url, self.place, self.expected = url, place, expected
        self.partial = place.with_name(f".{place.name}.part")
        self.of = place.with_name(f".{place.name}.of")  # the address and version that the partial file came from
        self.total = expected.size
        self.done = 0

    def run(self) -> None:
        if self.resumable() and self.partial.stat().st_size == self.expected.size:
            return  # interrupted just before the rename
        try:
            with self._opened() as answer:
                if answer.headers.get_content_type() == "text/html":
                    raise self._unreachable("the server sends a web page instead of the file", "download.wrong_file")
                self._expect(answer)
                self._receive(answer)
        except HTTPError as error:
            error.close()
            code, why = _meaning(error.code, error.reason)
            raise self._unreachable(why, code) from None
        except (OSError, HTTPException) as error:
            raise self._to_user_error(error) from None
        if self.total is not None and self.done < self.total:
            raise self._unreachable("the connection broke off", "download.interrupted")

    def resumable(self) -> bool:
        """Whether there is a partial file, and a hash or version to ensure that the rest belongs to it."""
        is_started = self.partial.exists() and self.partial.stat().st_size > 0
        return is_started and bool(self.expected.sha256 or self._version())

    def forget(self) -> None:
        self.partial.unlink(missing_ok=True)
        self.of.unlink(missing_ok=True)

    def _opened(self) -> HTTPResponse:
        headers = {"User-Agent": "stylegan-lab", "Accept-Encoding": "identity"}
        resume = {}
        if self.resumable():
            self.done = self.partial.stat().st_size
            resume["Range"] = f"bytes={self.done}-"
            if version := self._version():
                resume["If-Range"] = version
        try:
            answer = self._open(headers | resume)
        except HTTPError as error:
            if error.code != 416 or not resume:
                raise
            error.close()
            answer = self._open(headers)
        begins = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", "")) if answer.status == 206 else None
        if answer.status == 206 and (begins is None or int(begins[1]) != self.done):
            answer.close()
            answer = self._open(headers)
        if answer.status != 206:
            self.done = 0
        return answer

    def _open(self, headers: dict[str, str]) -> HTTPResponse:
        opener = urllib.request.build_opener(_Redirects)
        return opener.open(urllib.request.Request(self.url, headers=headers), timeout=TIMEOUT_SECONDS)

    def _expect(self, answer: HTTPResponse) -> None:
        """Check the announced size against the expected one and the free disk space."""
        length = answer.headers.get("Content-Length", "")
        if length.isdigit():
            size = self.done + int(length)
            if self.expected.size not in (None, size):
                wrong = f"the file has {size:,} bytes there, but {self.expected.size:,} are expected"
                raise self._unreachable(wrong, "download.wrong_file")
            self.total = size
        needed, free = (self.total or 0) - self.done, shutil.disk_usage(self.place.parent).free
        if needed > free - RESERVED_BYTES:
            why = f"{self.place} needs {format_amount(needed)}; {format_amount(free)} are free there"
            raise UserError("download.disk_full", f"{why}. Free some space, or choose a folder on another disk")
        tag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        self.of.write_text(f"{self.url}\n{modified if tag.startswith('W/') else tag or modified}")

    def _receive(self, answer: HTTPResponse) -> None:
        with (
            self.partial.open("ab" if self.done else "wb") as file,
            report_progress(self.place.name, self.total, self.done) as advance,
        ):
            while part := answer.read1(CHUNK_BYTES):
                file.write(part)
                self.done += len(part)
                advance(len(part))
                if self.expected.size is not None and self.done > self.expected.size:
                    raise self._unreachable(
                        f"the server sends more than the {self.expected.size:,} bytes that are expected",
                        "download.wrong_file",
                    )
            file.flush()
            os.fsync(file.fileno())

    def _version(self) -> str:
        try:
            url, _, version = self.of.read_text().partition("\n")
        except OSError:
            return ""
        return version if url == self.url else ""

    def _to_user_error(self, error: Exception) -> UserError:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, UserError):
            return self._unreachable(str(reason), reason.code)
        if isinstance(reason, TimeoutError):
            return self._unreachable(f"the server sent nothing for {TIMEOUT_SECONDS:g} s", "download.interrupted")
        if isinstance(reason, OSError) and reason.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            return UserError("download.not_writable", f"{self.place} cannot be written: {reason.strerror}")
        if isinstance(reason, HTTPException):
            if self.done:
                return self._unreachable("the connection broke off", "download.interrupted")
            return self._unreachable(f"the server's answer is not HTTP: {type(reason).__name__}")
        return self._unreachable(str(reason))

    def _unreachable(self, why: str, code: str = "download.unreachable") -> UnreachableError:
        do = f"download it in another way and save it as {self.place}"
        if self.resumable():
            of = f" of {format_amount(self.total)}" if self.total else ""
            do = f"{format_amount(self.partial.stat().st_size)}{of} are saved: repeat the command to resume, or {do}"
        return UnreachableError(code, f"{self.url} cannot be fetched ({why}); {do}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in {"https", urlsplit(req.full_url).scheme}:
            fp.close()
            raise URLError(
                UserError("download.not_encrypted", f"the server redirects to {newurl}, which is not encrypted")
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _meaning(status: int, reason: str) -> tuple[str, str]:
    """Return the error code for an HTTP status, and what it means."""
    if 300 <= status < 400:
        return "download.unreachable", f"{status}: it redirects in a circle"
    trouble = "the server has a problem; try again later" if status >= 500 else ""
    code, meaning = HTTP_CODES.get(status, ("download.unreachable", trouble))
    return code, f"{status} {reason}: {meaning}" if meaning else f"{status} {reason}"
