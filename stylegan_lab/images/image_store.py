"""Sets of images that may be larger than memory, and their content hash."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.images.value_range import unit_to_bytes

HASH_CHUNK = 32  # images
RESIZE_CHUNK = 1024  # images


class ImageSet(Protocol):
    """Images (N, C, H, W) in [0, 1]: a tensor or an ImageStore. `[:]` loads all of them into memory."""

    @property
    def shape(self) -> torch.Size: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Tensor: ...

    def split(self, size: int, /) -> Iterable[Tensor]: ...


class ImageStore:
    """Images in a temporary memory-mapped file, which is removed with this object.

    It is filled from batches of images of one size in [0, 1]. Values are stored with 8 bits, as in saved image files.
    """

    def __init__(self, batches: Iterable[Tensor]) -> None:
        count, shape = 0, torch.Size()
        with _disk_space_for(count):
            file = tempfile.TemporaryFile()  # noqa: SIM115, closed below, once it is mapped
        with file:
            for batch in batches:
                shape = shape or batch.shape[1:]
                if batch.shape[1:] != shape:
                    raise ValueError(f"images of shape {tuple(batch.shape[1:])} follow images of shape {tuple(shape)}")
                with _disk_space_for(count):
                    file.write(_bytes_of(batch))
                count += len(batch)
            with _disk_space_for(count):
                file.flush()
            self._pixels = np.memmap(file, np.uint8, "r", shape=(count, *shape))

    @cached_property
    def content_hash(self) -> str:
        chunks = np.array_split(self._pixels, max(1, len(self) // HASH_CHUNK))
        return _hash(self.shape, (chunk.data for chunk in chunks))

    @property
    def shape(self) -> torch.Size:
        return torch.Size(self._pixels.shape)

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        pixels = self._pixels[index.numpy() if isinstance(index, Tensor) else index]
        return torch.from_numpy(np.array(pixels)).float() / 255

    def split(self, size: int) -> Iterator[Tensor]:
        return (self[start : start + size] for start in range(0, len(self), size))


def resize_in_chunks(images: ImageSet, size: int, resize: Callable[[Tensor], Tensor]) -> Tensor:
    """Resize all images to (size, size) with `resize`, chunk by chunk, so that the originals need not fit into memory."""
    resized = torch.empty(len(images), images.shape[1], size, size)
    for target, chunk in zip(resized.split(RESIZE_CHUNK), images.split(RESIZE_CHUNK), strict=True):
        target.copy_(resize(chunk.float()))
    return resized


def content_hash(images: ImageSet) -> str:
    """Hash the images' 8-bit values, from which metrics are computed. A tensor and an ImageStore with the same images have the
    same hash."""
    if isinstance(images, ImageStore):
        return images.content_hash
    return _hash(images.shape, map(_bytes_of, images.split(HASH_CHUNK)))


def _hash(shape: torch.Size, chunks: Iterable[memoryview]) -> str:
    digest = hashlib.sha256(f"{tuple(shape)} ".encode())
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _bytes_of(images: Tensor) -> memoryview:
    return unit_to_bytes(images).cpu().contiguous().numpy().data


@contextmanager
def _disk_space_for(count: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            "device.temporary_space_full",
            f"{tempfile.gettempdir()} has no room for more than {count} images ({error.strerror}); set TMPDIR=FOLDER to a "
            "folder on a larger disk",
        ) from error
