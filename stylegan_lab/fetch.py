"""Files from afar: whole and as they should be, or not at all. A download that broke off goes on where it stopped."""

import errno
import hashlib
import os
import re
import shutil
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from stylegan_lab.alone import alone
from stylegan_lab.mistake import Mistake
from stylegan_lab.progress import amount, progress

CACHE = "STYLEGAN_LAB_CACHE"
PATIENCE = 30.0  # seconds in which a server must send something
PART = 1 << 16
SPARE = 100_000_000  # bytes that are left free on a disk
WHY = {401: "it asks for a password", 403: "it is not given out", 404: "it is not there", 410: "it is no longer there",
       429: "too many have asked; try again later"}  # fmt: skip


class Unreachable(Mistake):
    """Another place may have it."""


class Expected(NamedTuple):
    """What is known of a file before it is fetched. A hash may be given by its beginning."""

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None


NOTHING = Expected()


def fetched(urls: Sequence[str], place: Path, expected: Expected = NOTHING) -> Path:
    """`place`, with the file of the first address that gives it; whoever put it there, it is held against what is expected."""
    if not place.exists():
        _writable(place.parent)
        with alone(place):
            if not place.exists():
                _fetch(urls, place, expected)
                return place
    if wrong := difference(place, expected):
        raise Mistake(f"{place} is not what it should be ({wrong}); delete it, fetch {urls[0]} and put it there")
    return place


def cache_folder() -> Path:
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "stylegan_lab")


def difference(file: Path, expected: Expected) -> str | None:
    """Between a file and what is expected, in half a sentence."""
    size = file.stat().st_size
    if expected.size not in (None, size):
        return f"{size:,} bytes, expected {expected.size:,}"
    for kind, begins in (("SHA-256", expected.sha256), ("MD5", expected.md5)):
        if begins and not (found := digest(file, kind.replace("-", ""))).startswith(begins):
            return f"{kind} {found[:8]}..., expected {begins[:8]}..."
    return None


def digest(file: Path, kind: str = "SHA256") -> str:
    counted = hashlib.new(kind, usedforsecurity=False)
    with file.open("rb") as content:
        while part := content.read(1 << 20):
            counted.update(part)
    return counted.hexdigest()


def _fetch(urls: Sequence[str], place: Path, expected: Expected) -> None:
    first: Unreachable | None = None
    for url in urls:
        download = _Download(url, place, expected)
        try:
            download.run()
            break
        except Unreachable as error:
            first = first or error
            if url == urls[-1]:
                raise (error if download.resumable() else first) from None
        finally:
            download.tidy()
    try:
        if wrong := difference(download.partial, expected):
            raise Mistake(
                f"{url} gives another file than is expected ({wrong}); fetch it elsewhere and put it at {place}"
            )
        download.partial.replace(place)
    finally:
        download.forget()


class _Download:
    """One attempt at one address, beside its place until it is whole."""

    def __init__(self, url: str, place: Path, expected: Expected):
        self.url, self.place, self.expected = url, place, expected
        self.partial = place.with_name(f".{place.name}.part")
        self.of = place.with_name(f".{place.name}.of")  # which version of which address the part is of
        self.total = expected.size
        self.done = 0

    def run(self) -> None:
        if self.resumable() and self.partial.stat().st_size == self.expected.size:
            return  # it was interrupted just before it was put in its place
        try:
            with self._opened() as answer:
                if answer.headers.get_content_type() == "text/html":
                    raise self._unreachable("it answers with a web page, not with the file")
                self._expect(answer)
                self._receive(answer)
        except HTTPError as error:
            error.close()
            raise self._unreachable(_meaning(error.code, error.reason)) from None
        except (OSError, HTTPException) as error:
            raise self._told(error) from None
        if self.total is not None and self.done < self.total:
            raise self._unreachable("it broke off")

    def resumable(self) -> bool:
        """Whether there is a part, and something to tell that the rest will be of the same file."""
        some = self.partial.exists() and self.partial.stat().st_size > 0
        return some and bool(self.expected.sha256 or self._version())

    def tidy(self) -> None:
        """Keep only what can be gone on with."""
        if not self.resumable():
            self.forget()

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
        return opener.open(urllib.request.Request(self.url, headers=headers), timeout=PATIENCE)

    def _expect(self, answer: HTTPResponse) -> None:
        """What the server says is to come: as much as is known, and no more than there is room for."""
        length = answer.headers.get("Content-Length", "")
        if length.isdigit():
            said = self.done + int(length)
            if self.expected.size not in (None, said):
                raise self._unreachable(
                    f"it has {said:,} bytes there, {self.expected.size:,} are expected: another file"
                )
            self.total = said
        free = shutil.disk_usage(self.place.parent).free
        if (self.total or 0) - self.done > free - SPARE:
            raise Mistake(
                f"{self.place} needs {amount((self.total or 0) - self.done)}; {amount(free)} are free there. Make room, "
                "or name a folder on another disk"
            )
        tag = answer.headers.get("ETag", "")
        version = answer.headers.get("Last-Modified", "") if tag.startswith("W/") else tag
        self.of.write_text(f"{self.url}\n{version or answer.headers.get('Last-Modified', '')}")

    def _receive(self, answer: HTTPResponse) -> None:
        with (
            self.partial.open("ab" if self.done else "wb") as file,
            progress(self.place.name, self.total, self.done) as advance,
        ):
            while part := answer.read1(PART):
                file.write(part)
                self.done += len(part)
                advance(len(part))
                if self.expected.size is not None and self.done > self.expected.size:
                    raise self._unreachable(f"it sends more than the {self.expected.size:,} bytes that are expected")
            file.flush()
            os.fsync(file.fileno())

    def _version(self) -> str:
        try:
            url, _, version = self.of.read_text().partition("\n")
        except OSError:
            return ""
        return version if url == self.url else ""

    def _told(self, error: Exception) -> Mistake:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, Mistake):
            return self._unreachable(str(reason))
        if isinstance(reason, TimeoutError):
            return self._unreachable(f"it sent nothing for {PATIENCE:g} s")
        if isinstance(reason, OSError) and reason.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            return Mistake(f"{self.place} cannot be written: {reason.strerror}")
        if isinstance(reason, HTTPException):
            return self._unreachable("it broke off" if self.done else f"its answer is none: {type(reason).__name__}")
        return self._unreachable(str(reason))

    def _unreachable(self, why: str) -> Unreachable:
        do = f"fetch it elsewhere and put it at {self.place}"
        if self.resumable():
            of = f" of {amount(self.total)}" if self.total else ""
            do = f"{amount(self.partial.stat().st_size)}{of} are kept: repeat the command to go on, or {do}"
        return Unreachable(f"{self.url} cannot be fetched ({why}); {do}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in {"https", urlsplit(req.full_url).scheme}:
            fp.close()
            raise URLError(Mistake(f"it leads on to {newurl}, which is not encrypted"))
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _meaning(code: int, reason: str) -> str:
    """Of an HTTP status."""
    if 300 <= code < 400:
        return f"{code}: it leads round in a circle"
    meaning = WHY.get(code, "its server has trouble; try again later" if code >= 500 else None)
    return f"{code} {reason}: {meaning}" if meaning else f"{code} {reason}"


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (folder / f".{os.getpid()}").touch()
            (folder / f".{os.getpid()}").unlink()
    except OSError as error:
        raise Mistake(f"{folder} cannot be written: {error.strerror}") from None
