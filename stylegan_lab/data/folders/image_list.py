"""Lists of images of one domain, as tensors that are read from the cache or decoded at each access."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stylegan_lab.data.folders.cache import CachedImages
from stylegan_lab.data.folders.reading import ImageReading
from stylegan_lab.errors import UserError
from stylegan_lab.images.open_image import UnreadableImageError


class PixelBlocks(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """Return the pixels of one sample, (K, C, h, w). Its K images receive the same augmentation."""
        ...


class ImageList:
    """The images of one domain, by index. Each element is one image, or the two halves of an image that shows a pair side by
    side."""

    def __init__(self, paths: Sequence[Path], reading: ImageReading) -> None:
        self.paths, self.reading = list(paths), reading
        self.cached: CachedImages | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        if self.cached is not None:
            try:
                return self.cached[index]
            except OSError:  # the cache was deleted in the meantime
                self.cached = None
        return self.reading(self.paths[index])


class ImagePairs:
    """The images of two domains. Those at the same index form a pair."""

    def __init__(self, a: ImageList, b: ImageList) -> None:
        self.a, self.b = a, b

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, index: int) -> Tensor:
        a, b = self.a[index], self.b[index]
        if a.shape != b.shape:
            size, other = (f"{block.shape[-1]}x{block.shape[-2]}" for block in (b, a))
            reason = f"is {size} after resizing, but its counterpart in the other folder is {other}"
            raise UnreadableImageError(self.b.paths[index], reason, "data.pair_sizes_differ")
        return torch.cat([a, b])


class BadFileReplacingImages:
    """Replaces an image that can no longer be read by the next readable one. Each process prints one message per replaced image."""

    def __init__(self, blocks: PixelBlocks) -> None:
        self.blocks = blocks
        self.skipped: set[int] = set()

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> Tensor:
        for step in range(len(self)):
            position = (index + step) % len(self)
            try:
                return self.blocks[position]
            except UnreadableImageError as error:
                if position not in self.skipped:
                    self.skipped.add(position)
                    total = f"{len(self.skipped)} so far, other images are used instead"
                    print(f"skipped    {error}; {total}", file=sys.stderr)
        raise UserError(
            "data.no_readable_images",
            f"none of the {len(self)} images can be read; check them with stylegan-lab data check",
        )
