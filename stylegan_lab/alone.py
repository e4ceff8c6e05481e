"""One process at a time: who makes something that several may want at once, such as the ranks of a training."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """The others wait until `target` was made, or its maker has ended."""
    lock = target.with_name(f".{target.name}.lock")
    while True:
        file = lock.open("w")
        if fcntl is not None:
            _wait_for(file, target)
        if _is_still(lock, file.fileno()):
            break
        file.close()
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        file.close()


def _wait_for(file: TextIO, target: Path) -> None:
    with suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process, which makes {target}", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)


def _is_still(lock: Path, handle: int) -> bool:
    """Whether the file that was waited for is the one that others would wait for now."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
