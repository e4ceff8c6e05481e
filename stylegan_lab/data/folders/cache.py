"""A cache of decoded images: resized pixels in memory-mapped files, shared by all processes that read a folder in the same way.

An image is identified by its name, its size, and the modification and change times of the file in nanoseconds. Comparing all
bytes would cost as much as decoding. No program can set the change time, so a rewritten file is always read again.

    <folder>/<name>-<fingerprint>/index.json          where each image is stored; replaced atomically
                                  1a2b3c4d.pixels     images decoded by one process; written once, never changed

An interrupted process leaves a file that the index does not name, which the next process removes. Indexed images are kept.
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

from stylegan_lab.console import report_progress
from stylegan_lab.cores import num_cores
from stylegan_lab.data.folders.listing import relative_name
from stylegan_lab.data.folders.reading import ImageReading
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.files.file_lock import file_lock
from stylegan_lab.images.open_image import UnreadableImageError

INDEX = "index.json"
SUFFIX = ".pixels"
TIMESTAMP_RESOLUTION = 20_000_000  # nanoseconds within which a file system may give two changes the same time
INDEX_EVERY = 20.0  # seconds between index writes: the work lost when interrupted
Stamp = list[int]


class CacheRecord(NamedTuple):
    """Where the pixels of an image are stored, or why it cannot be read."""

    stamp: Stamp
    file: str
    offset: int
    shape: Sequence[int]
    bad: str | None = None


class DecodedCache:
    """The decoded images of one folder, as one ImageReading reads them."""

    def __init__(self, parent: Path, base: Path, reading: ImageReading) -> None:
        base = Path(os.path.abspath(base))  # noqa: PTH100  does not resolve links
        key = sha256(f"{os.fsencode(base)!r} {reading.fingerprint()}".encode()).hexdigest()[:16]
        self.base, self.reading = base, reading
        self.folder = parent / f"{''.join(c if c.isalnum() else '_' for c in base.name)[:40]}-{key}"
        self.dtype = torch.uint8 if reading.bit_depth == 8 else torch.float32

    def ensure_decoded(self, paths: Sequence[Path]) -> dict[Path, CacheRecord]:
        """Return a record of each image. Missing and changed images are first decoded on all cores; other processes wait until this
        is done."""
        records, missing = self._lookup(paths)
        if missing:
            self.folder.mkdir(parents=True, exist_ok=True)
            with file_lock(self.folder / INDEX):
                records, missing = self._lookup(paths)
                if missing:
                    self._decode(missing)
                    records, missing = self._lookup(paths)
        for path in missing:  # changed or removed in the meantime
            records[path] = CacheRecord([], "", 0, (), "changes while it is read")
        return records

    def undecoded(self, paths: Sequence[Path]) -> list[Path]:
        return self._lookup(paths)[1]

    def bytes_for(self, paths: Sequence[Path], sample: int = 8) -> int:
        """Estimate how many bytes these images take in the cache, from the first `sample` readable images."""
        sizes = []
        for path in paths:
            with suppress(UnreadableImageError):
                pixels = self.reading(path)
                sizes.append(pixels.numel() * pixels.element_size())
            if len(sizes) == sample:
                break
        return len(paths) * sum(sizes) // max(1, len(sizes))

    def _lookup(self, paths: Sequence[Path]) -> tuple[dict[Path, CacheRecord], list[Path]]:
        index, known, missing = self._index(), {}, []
        for path in paths:
            record, stamp = index.get(self._name(path)), file_stamp(path)
            if record is not None and stamp == list(record.stamp):
                known[path] = record
            elif stamp is None:
                known[path] = CacheRecord([], "", 0, (), "does not exist")
            else:
                missing.append(path)
        return known, missing

    def _decode(self, paths: Sequence[Path]) -> None:
        index = self._cleaned_index()
        file = self.folder / f"{secrets.token_hex(8)}{SUFFIX}"
        with (
            file.open("wb") as pixels,
            report_progress(f"decoding {self.base.name}", len(paths), in_bytes=False) as advance,
        ):
            written = time.monotonic()
            for path, stamp, decoded in _map_in_threads(self._decoded, paths):
                if isinstance(decoded, Tensor):
                    offset = pixels.tell()
                    pixels.write(decoded.numpy().data)
                    index[self._name(path)] = CacheRecord(stamp, file.name, offset, list(decoded.shape))
                else:
                    index[self._name(path)] = CacheRecord(stamp, "", 0, (), decoded)
                advance(1)
                if time.monotonic() - written > INDEX_EVERY:
                    self._write(index, pixels)
                    written = time.monotonic()
            self._write(index, pixels)

    def _decoded(self, path: Path) -> tuple[Path, Stamp, Tensor | str]:
        try:
            stamp = _settled_stamp(path)
            return path, stamp, self.reading(path).contiguous()
        except UnreadableImageError as error:
            return path, stamp, error.reason
        except OSError as error:
            return path, [], f"cannot be read: {error.strerror or error}"

    def _index(self) -> dict[str, CacheRecord]:
        try:
            return {name: CacheRecord(*each) for name, each in json.loads((self.folder / INDEX).read_bytes()).items()}
        except (OSError, ValueError, TypeError):
            return {}

    def _cleaned_index(self) -> dict[str, CacheRecord]:
        """The index without deleted images. Pixel files that are no longer needed are removed."""
        index = {name: record for name, record in self._index().items() if (self.base / name).exists()}
        needed = {record.file for record in index.values()}
        for file in self.folder.glob(f"*{SUFFIX}"):
            if file.name not in needed:
                with suppress(OSError):  # in use, on Windows
                    file.unlink()
        return index

    def _write(self, index: Mapping[str, CacheRecord], pixels: BinaryIO) -> None:
        """Pixels are written first, so that the index never names missing data."""
        pixels.flush()
        os.fsync(pixels.fileno())
        write_text_atomic(self.folder / INDEX, json.dumps(index))

    def _name(self, path: Path) -> str:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100
        return relative_name(self.base, absolute) if absolute.is_relative_to(self.base) else str(absolute)


class CachedImages:
    """Reads images from the cache. Each process maps the cache files itself, also after this object was pickled."""

    def __init__(self, cache: DecodedCache, records: Sequence[CacheRecord]) -> None:
        self.folder, self.dtype, self.records = cache.folder, cache.dtype, list(records)
        self._maps: dict[str, Tensor] = {}

    def __getitem__(self, index: int) -> Tensor:
        """Return the pixels of an image, (K, C, h, w) and read-only. Raises OSError if the cache file was removed."""
        _, file, offset, shape, _ = self.records[index]
        if file not in self._maps:
            self._maps[file] = _memory_map(self.folder / file)
        length = prod(shape) * self.dtype.itemsize
        return self._maps[file][offset : offset + length].view(self.dtype).view(*shape)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maps": {}}


def file_stamp(path: Path) -> Stamp | None:
    """Return size, times and inode of a file, or None if it does not exist. They change whenever the file changes."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of a folder. The folder need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _settled_stamp(path: Path) -> Stamp:
    """The stamp of a file, after waiting until a further change would give a different one."""
    if (stamp := file_stamp(path)) is None:
        raise FileNotFoundError(2, "it does not exist")
    if abs(time.time_ns() - max(stamp[1:3])) < TIMESTAMP_RESOLUTION:
        time.sleep(2 * TIMESTAMP_RESOLUTION / 1e9)
    return stamp


def _memory_map(file: Path) -> Tensor:
    with file.open("rb") as opened:
        # torch needs a writable buffer; the file stays unchanged
        memory = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
    return torch.frombuffer(memory, dtype=torch.uint8)


def _map_in_threads(function: Callable[[Path], Any], paths: Sequence[Path]) -> Iterator[Any]:
    """Results in order, with few of them in memory at a time. Decoders release the GIL."""
    waiting = iter(paths)
    with ThreadPoolExecutor(num_cores()) as threads:
        while some := list(islice(waiting, 4 * num_cores())):
            yield from threads.map(function, some)
