"""Locks between processes, with the filelock package. The operating system releases a lock when its process ends."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

POLL_SECONDS = 0.05


def try_lock(path: Path) -> int | None:
    """Lock the file `path` and return its descriptor, or None if another process holds the lock.

    The lock is held until every process that has the descriptor closes it. A child process that inherits the descriptor therefore
    keeps the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    with suppress(OSError):  # a file system without locks
        if not lock_descriptor(descriptor, blocking=False):
            os.close(descriptor)
            return None
    return descriptor


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock on the file `path`. On a file system without locks, the result is True for every
    file that exists."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:  # another user's file; it can be locked, and not be written
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            return True
    try:
        return not lock_descriptor(descriptor, blocking=False)
    except OSError:
        return True
    finally:
        os.close(descriptor)


@contextmanager
def file_lock(target: Path, waiting_message: bool = True) -> Iterator[None]:
    """Let one process at a time work on `target`, such as the ranks of a training. The other processes wait and, with
    `waiting_message`, print that they do."""
    lock = target.with_name(f".{target.name}.lock")
    while (descriptor := _try_current(lock)) is None:
        if waiting_message:
            print(f"waiting for another process, which makes {target}", file=sys.stderr, flush=True)
            waiting_message = False
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _try_current(lock: Path) -> int | None:
    """As `try_lock`, but a lock on a file that its previous holder has deleted does not count."""
    descriptor = try_lock(lock)
    if descriptor is None:
        return None
    with suppress(FileNotFoundError):
        if os.path.samestat(lock.stat(), os.fstat(descriptor)):
            return descriptor
    os.close(descriptor)
    return _try_current(lock)
