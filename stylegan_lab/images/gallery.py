"""A gallery: more pictures than fit into memory, in a file that is gone when the gallery is, looked at some at a time."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stylegan_lab.mistake import Mistake

AT_ONCE = 32  # pictures whose bytes are hashed
SCALED_AT_ONCE = 1024


class PictureSet(Protocol):
    """(N, C, H, W) in [0, 1], such as a tensor; `[:]` has all of them in memory."""

    @property
    def shape(self) -> torch.Size: ...

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Tensor: ...

    def split(self, size: int, /) -> Iterable[Tensor]: ...


class Gallery:
    """Of batches of pictures in [0, 1] and of one size, of which it keeps 8 bits, as a saved picture would."""

    def __init__(self, batches: Iterable[Tensor]) -> None:
        count, shape = 0, torch.Size()
        with _room(count):
            file = tempfile.TemporaryFile()  # noqa: SIM115, closed below, once it is mapped
        with file:
            for batch in batches:
                shape = shape or batch.shape[1:]
                if batch.shape[1:] != shape:
                    raise ValueError(f"pictures of {tuple(batch.shape[1:])} among those of {tuple(shape)}")
                with _room(count):
                    file.write(_bytes_of(batch))
                count += len(batch)
            with _room(count):
                file.flush()
            self._pixels = np.memmap(file, np.uint8, "r", shape=(count, *shape))

    @cached_property
    def content(self) -> str:
        """Equal where pictures are."""
        return _hashed(self.shape, (part.data for part in np.array_split(self._pixels, max(1, len(self) // AT_ONCE))))

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self._pixels.shape)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        place = which.numpy() if isinstance(which, Tensor) else which
        return torch.from_numpy(np.array(self._pixels[place])).float() / 255

    def split(self, size: int) -> Iterator[Tensor]:
        return (self[start : start + size] for start in range(0, len(self), size))


def in_parts(pictures: PictureSet, side: int, scale: Callable[[Tensor], Tensor]) -> Tensor:
    """All of them at `side` pixels, scaled some at a time."""
    small = torch.empty(len(pictures), pictures.shape[1], side, side)
    for place, part in zip(small.split(SCALED_AT_ONCE), pictures.split(SCALED_AT_ONCE), strict=True):
        place.copy_(scale(part.float()))
    return small


def content(pictures: PictureSet) -> str:
    """Equal where pictures are, in the 8 bits in which they are measured."""
    if isinstance(pictures, Gallery):
        return pictures.content
    return _hashed(pictures.shape, map(_bytes_of, pictures.split(AT_ONCE)))


def _hashed(shape: torch.Size, parts: Iterable[memoryview]) -> str:
    facts = hashlib.sha256(f"{tuple(shape)} ".encode())
    for part in parts:
        facts.update(part)
    return facts.hexdigest()


def _bytes_of(pictures: Tensor) -> memoryview:
    return (pictures * 255).round().clamp(0, 255).to(torch.uint8).cpu().contiguous().numpy().data


@contextmanager
def _room(count: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Mistake(
            f"{count} pictures are in {tempfile.gettempdir()}, and there is no room for more ({error.strerror}); give "
            "TMPDIR=FOLDER, on a larger disk"
        ) from error
