"""Pairs from any photos: each picture beside what became of it. Old photographs and low resolution are made the same way."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_data import Augmentations, Files, FolderData
from stylegan_lab.data.folders.paired import REFERENCES
from stylegan_lab.data.folders.pictures import Blocks
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.images.augment import augmented
from stylegan_lab.images.batch import Pair
from stylegan_lab.mistake import Mistake, at_least


def _pair(plain: Tensor, degrade: Augmentations, chance: torch.Generator, restore: bool) -> Pair:
    """From (1, C, H, W)."""
    degraded = augmented(plain, degrade, chance)
    return {"a": degraded[0], "b": plain[0]} if restore else {"a": plain[0], "b": degraded[0]}


class DegradedPictures(Dataset[Pair]):
    """What becomes of a picture is drawn by (seed, epoch, index): something else each time it is seen."""

    def __init__(
        self, pictures: Blocks, augment: Augmentations, degrade: Augmentations, restore: bool, seed: int
    ) -> None:
        self.pictures, self.augment, self.degrade, self.restore, self.seed = pictures, augment, degrade, restore, seed

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, draw: Draw) -> Pair:
        epoch, index = draw
        chance = dice(self.seed, epoch, index)
        return _pair(augmented(self.pictures[index], self.augment, chance), self.degrade, chance, self.restore)


class HeldOutDegraded(Dataset[Pair]):
    """The same becomes of a picture each time, as its name and the seed of the split have it."""

    def __init__(
        self, pictures: Blocks, names: Sequence[str], degrade: Augmentations, restore: bool, seed: int
    ) -> None:
        self.pictures, self.degrade, self.restore = pictures, degrade, restore
        self.keys = [int.from_bytes(sha256(f"{seed}/{name!a}".encode()).digest()[:7], "big") for name in names]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Pair:
        return _pair(self.pictures[index], self.degrade, dice(self.keys[index]), self.restore)


@dataclass(eq=False, repr=False)
class DegradedFolder(FolderData):
    """`restore`: learn to undo what was done to a picture (`a`); otherwise, to do it."""

    _: KW_ONLY
    degrade: Augmentations
    restore: bool = False

    gives = Pair
    true_pairs = True

    def __post_init__(self) -> None:
        super().__post_init__()
        height, width = self.shape
        empty = torch.zeros((1, self.channels, height, width), dtype=torch.uint8)
        degraded = augmented(empty, self.degrade, dice(0))
        self.factor = width // degraded.shape[-1]
        if self.factor > 1 and not self.restore:
            raise Mistake(
                "data.restore=false: what is degraded to fewer pixels cannot be learnt from what has more; "
                "give data.restore=true, or degrade.downscale.enlarged=true"
            )

    def find(self) -> Files:
        splits = self.real(self.split(self.tree.layout.parts, self.tree.name))
        return {split: [paths] for split, paths in splits.items()}

    def train_samples(self) -> Dataset[Any]:
        (pictures,) = self.training
        return DegradedPictures(self.lenient(pictures), self.augment, self.degrade, self.restore, self.seed)

    def held_out(self, split: str) -> Dataset[Any]:
        return self._fixed(split)

    def reference_pairs(self) -> Dataset[Any]:
        return self._fixed("train", REFERENCES)

    def _fixed(self, split: str, most: int | None = None) -> HeldOutDegraded:
        (pictures,) = self.held_out_pictures(split)
        names = [_name(path, self.tree.base) for path in pictures.paths][:most]
        return HeldOutDegraded(self.lenient(pictures), names, self.degrade, self.restore, self.split_seed)


@dataclass(eq=False, repr=False)
class ShrunkenFolder(DegradedFolder):
    """Super-resolution: `a` has `factor` times fewer pixels a side, as `degrade` makes it, unless that enlarges it again."""

    _: KW_ONLY
    factor: int = 4

    def __post_init__(self) -> None:
        wanted = self.factor
        at_least("data.factor", wanted, 1)
        super().__post_init__()
        if self.factor not in (1, wanted):
            raise Mistake(
                f"data.factor={wanted}, and degrade makes pictures {self.factor} times smaller; say it once, with data.factor"
            )


def _name(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name
