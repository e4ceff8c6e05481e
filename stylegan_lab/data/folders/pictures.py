"""Pictures: a domain of files, by number, as they are after reading; kept in a cache or decoded each time."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from stylegan_lab.data.folders.cache import Kept
from stylegan_lab.data.folders.reading import Reading
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.mistake import Mistake


class Blocks(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """(K, C, h, w): all pictures of one sample, which are augmented alike."""
        ...


class Pictures:
    """One picture, or the two halves of it, a block."""

    def __init__(self, paths: Sequence[Path], reading: Reading, kept: Kept | None = None) -> None:
        self.paths, self.reading, self.kept = list(paths), reading, kept

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        if self.kept is not None:
            try:
                return self.kept[index]
            except OSError:  # the cache was emptied meanwhile
                self.kept = None
        return self.reading(self.paths[index])


class Mates:
    """Two domains in which pictures of the same number belong together."""

    def __init__(self, a: Pictures, b: Pictures) -> None:
        self.a, self.b = a, b

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, index: int) -> Tensor:
        a, b = self.a[index], self.b[index]
        if a.shape != b.shape:
            sizes = [f"{block.shape[-1]}x{block.shape[-2]}" for block in (b, a)]
            raise Unreadable(
                self.b.paths[index], f"is {sizes[0]} after fitting, and its mate in the other folder {sizes[1]}"
            )
        return torch.cat([a, b])


class Replacing:
    """The next block takes the place of one that can no longer be read; each process says so once of each."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.gone: set[int] = set()

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: int) -> Tensor:
        for step in range(len(self)):
            place = (index + step) % len(self)
            try:
                return self.blocks[place]
            except Unreadable as error:
                if place not in self.gone:
                    self.gone.add(place)
                    print(f"skipped    {error}; {len(self.gone)} so far, others take their place", file=sys.stderr)
        raise Mistake(f"none of the {len(self)} pictures can be read any more")
