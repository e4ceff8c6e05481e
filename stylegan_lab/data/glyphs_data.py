"""The embedded digits as data: 0 to 9 in many hands, none of which writes in two splits; no download."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.classes import distinct
from stylegan_lab.data.glyphs.write import DIGITS, write
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.data.sampler import Draw
from stylegan_lab.images.batch import Labelled
from stylegan_lab.mistake import Mistake, at_least

NAMES = [str(digit) for digit in range(DIGITS)]
FIRST = {"train": 0, "val": 1_000_000_000, "test": 2_000_000_000}  # splits are disjoint stretches of an endless world


class Glyphs(Dataset[Labelled]):
    """`count` glyphs from glyph `first` on, of some digits in turn; each is written once, when first asked for."""

    def __init__(self, digits: Sequence[int], size: int, channels: int, world: int, first: int, count: int) -> None:
        self.digits, self.size, self.channels = list(digits), size, channels
        self.world, self.first, self.count = world, first, count
        self._written: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, draw: Draw | int) -> Labelled:
        index = draw if isinstance(draw, int) else draw[1]
        turn, label = divmod(index, len(self.digits))
        number = self.first + turn * DIGITS + self.digits[label]
        if number not in self._written:
            self._written[number] = torch.from_numpy(write(self.world, number, self.size))
        return {
            "image": self._written[number].expand(self.channels, -1, -1).contiguous(),
            "label": torch.tensor(label),
        }


class GlyphsData(ImageData):
    """Every digit as often as any other; a label is the place of the digit's name in `classes`."""

    gives = Labelled

    def __init__(
        self,
        classes: Sequence[str] = tuple(NAMES),
        size: int = 32,
        channels: int = 1,
        batch_size: int = 64,
        workers: int = 0,
        train_scenes: int = 10_000,
        val_scenes: int = 500,
        test_scenes: int = 1_000,
        world: int = 0,
    ) -> None:
        super().__init__(size, channels, batch_size, workers)
        if not 16 <= size <= 64:
            raise Mistake(f"data.size={size}: glyphs are written from 16 to 64 pixels")
        if channels not in (1, 3):
            raise Mistake(f"data.channels={channels}: glyphs are written in 1 channel, or the same in 3")
        self.classes, self.world = distinct(classes, NAMES), world
        self.counts = {"train": train_scenes, "val": val_scenes, "test": test_scenes}
        for split, count in self.counts.items():
            at_least(f"data.{split}_scenes", count, 1)
        self._splits: dict[str, Glyphs] = {}

    def class_counts(self) -> Tensor:
        """Of the training's glyphs."""
        return torch.bincount(
            torch.arange(self.counts["train"]) % len(self.classes), minlength=len(self.classes)
        ).double()

    def train_samples(self) -> Dataset[Any]:
        return self._split("train")

    def held_out(self, split: str) -> Dataset[Any]:
        return self._split(split)

    def _split(self, split: str) -> Glyphs:
        if split not in self._splits:
            digits = [NAMES.index(name) for name in self.classes]
            self._splits[split] = Glyphs(digits, self.size, self.channels, self.world, FIRST[split], self.counts[split])
        return self._splits[split]
