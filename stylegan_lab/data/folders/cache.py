"""Pictures decoded once: fitted pixels in memory-mapped files, shared by all processes that read the same folder alike.

A picture is known by its name, size and the times its content and its entry were last changed, to the nanosecond. Reading all
bytes to compare them would cost what the cache saves; and no program can set the time of an entry's change, so a file that
was written again is read again, whatever it says about itself.

    <folder>/<name>-<fingerprint>/index.json          which pictures are where; replaced whole
                                  1a2b3c4d.pixels     as many as one process decoded; written once, then never changed

Whoever is interrupted leaves a file that no index names, which the next one removes. What was indexed by then is kept.
"""

import json
import mmap
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from stylegan_lab.alone import alone
from stylegan_lab.data.folders.listing import name_in
from stylegan_lab.data.folders.many_hands import cores
from stylegan_lab.data.folders.reading import Reading
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.progress import progress
from stylegan_lab.whole import write_text

INDEX = "index.json"
SUFFIX = ".pixels"
TICK = 20_000_000  # nanoseconds, within which a file system may give two changes the same time
INDEX_EVERY = 20.0  # seconds of work that are lost at most

Stamp = list[int]


class Record(NamedTuple):
    """Where a picture's pixels are, or why there are none."""

    stamp: Stamp
    file: str
    offset: int
    shape: Sequence[int]
    bad: str | None = None


class Cache:
    """The pictures of one folder after one reading."""

    def __init__(self, place: Path, base: Path, reading: Reading) -> None:
        base = Path(os.path.abspath(base))  # noqa: PTH100  links stay as they are
        key = sha256(f"{os.fsencode(base)!r} {reading.fingerprint()}".encode()).hexdigest()[:16]
        self.base, self.reading = base, reading
        self.folder = place / f"{''.join(c if c.isalnum() else '_' for c in base.name)[:40]}-{key}"
        self.dtype = torch.uint8 if reading.depth == 8 else torch.float32

    def ready(self, paths: Sequence[Path]) -> dict[Path, Record]:
        """A record of each, after whatever is missing or has changed was decoded, on all cores. Others wait meanwhile."""
        records, missing = self._known(paths)
        if missing:
            self.folder.mkdir(parents=True, exist_ok=True)
            with alone(self.folder / INDEX):
                records, missing = self._known(paths)
                if missing:
                    self._decode(missing)
                    records, missing = self._known(paths)
        for path in missing:  # changed, or gone, in the meantime
            records[path] = Record([], "", 0, (), "changes while it is read")
        return records

    def missing(self, paths: Sequence[Path]) -> list[Path]:
        return self._known(paths)[1]

    def bytes_for(self, paths: Sequence[Path], probe: int = 8) -> int:
        """About what so many take, from the first that can be read."""
        sizes = []
        for path in paths:
            with suppress(Unreadable):
                pixels = self.reading(path)
                sizes.append(pixels.numel() * pixels.element_size())
            if len(sizes) == probe:
                break
        return len(paths) * sum(sizes) // max(1, len(sizes))

    def _known(self, paths: Sequence[Path]) -> tuple[dict[Path, Record], list[Path]]:
        index, known, missing = self._index(), {}, []
        for path in paths:
            record, stamp = index.get(self._name(path)), stamp_of(path)
            if record is not None and stamp == list(record.stamp):
                known[path] = record
            elif stamp is None:
                known[path] = Record([], "", 0, (), "does not exist")
            else:
                missing.append(path)
        return known, missing

    def _decode(self, paths: Sequence[Path]) -> None:
        index = self._tidied()
        file = self.folder / f"{secrets.token_hex(8)}{SUFFIX}"
        with file.open("wb") as pixels, progress(f"decoding {self.base.name}", len(paths), in_bytes=False) as advance:
            written = time.monotonic()
            for path, stamp, decoded in _in_parallel(self._decoded, paths):
                if isinstance(decoded, Tensor):
                    offset = pixels.tell()
                    pixels.write(decoded.numpy().data)
                    index[self._name(path)] = Record(stamp, file.name, offset, list(decoded.shape))
                else:
                    index[self._name(path)] = Record(stamp, "", 0, (), decoded)
                advance(1)
                if time.monotonic() - written > INDEX_EVERY:
                    self._write(index, pixels)
                    written = time.monotonic()
            self._write(index, pixels)

    def _decoded(self, path: Path) -> tuple[Path, Stamp, Tensor | str]:
        try:
            stamp = _settled(path)
            return path, stamp, self.reading(path).contiguous()
        except Unreadable as error:
            return path, stamp, error.reason
        except OSError as error:
            return path, [], f"cannot be read: {error.strerror or error}"

    def _index(self) -> dict[str, Record]:
        try:
            return {name: Record(*each) for name, each in json.loads((self.folder / INDEX).read_bytes()).items()}
        except (OSError, ValueError, TypeError):
            return {}

    def _tidied(self) -> dict[str, Record]:
        """The index without pictures that are gone; files that nothing is left of are removed."""
        index = {name: record for name, record in self._index().items() if (self.base / name).exists()}
        needed = {record.file for record in index.values()}
        for file in self.folder.glob(f"*{SUFFIX}"):
            if file.name not in needed:
                with suppress(OSError):  # in use, on Windows
                    file.unlink()
        return index

    def _write(self, index: Mapping[str, Record], pixels: BinaryIO) -> None:
        """The pixels first, so that an index never names what is not there."""
        pixels.flush()
        os.fsync(pixels.fileno())
        write_text(self.folder / INDEX, json.dumps(index))

    def _name(self, path: Path) -> str:
        whole = Path(os.path.abspath(path))  # noqa: PTH100
        return name_in(self.base, whole) if whole.is_relative_to(self.base) else str(whole)


class Kept:
    """Records opened for reading; a process that it is sent to maps the files for itself."""

    def __init__(self, cache: Cache, records: Sequence[Record]) -> None:
        self.folder, self.dtype, self.records = cache.folder, cache.dtype, list(records)
        self._maps: dict[str, Tensor] = {}

    def __getitem__(self, index: int) -> Tensor:
        """(K, C, h, w), not to be written to. OSError where the file was removed meanwhile."""
        _, file, offset, shape, _ = self.records[index]
        if file not in self._maps:
            self._maps[file] = _mapped(self.folder / file)
        length = prod(shape) * self.dtype.itemsize
        return self._maps[file][offset : offset + length].view(self.dtype).view(*shape)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maps": {}}


def stamp_of(path: Path) -> Stamp | None:
    """What changes when the file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def room(folder: Path) -> int:
    """Bytes free where the folder is or is to be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _settled(path: Path) -> Stamp:
    """The stamp, once a further change would give another one."""
    if (stamp := stamp_of(path)) is None:
        raise FileNotFoundError(2, "it does not exist")
    if abs(time.time_ns() - max(stamp[1:3])) < TICK:
        time.sleep(2 * TICK / 1e9)
    return stamp


def _mapped(file: Path) -> Tensor:
    with file.open("rb") as opened:
        memory = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)  # writable to torch, never to the file
    return torch.frombuffer(memory, dtype=torch.uint8)


def _in_parallel(function: Callable[[Path], Any], paths: Sequence[Path]) -> Iterator[Any]:
    """In their order, and never many at a time in memory. Decoders let other threads work."""
    waiting = iter(paths)
    with ThreadPoolExecutor(cores()) as threads:
        while some := list(islice(waiting, 4 * cores())):
            yield from threads.map(function, some)
