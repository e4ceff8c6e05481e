"""Paired data made from plain photos: each image and a degraded version of it. Used for old photographs and super-resolution."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_datamodule import Augmentations, FolderDataModule
from stylegan_lab.data.folders.image_list import PixelBlocks
from stylegan_lab.data.folders.paired import MAX_REFERENCE_PAIRS
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_rng
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import PairedBatch
from stylegan_lab.images.transforms.augment import apply_augmentations


def _pair(clean: Tensor, degrade: Augmentations, rng: torch.Generator, restore: bool) -> PairedBatch:
    """A pair made from an image (1, C, H, W)."""
    degraded = apply_augmentations(clean, degrade, rng)
    return {"a": degraded[0], "b": clean[0]} if restore else {"a": clean[0], "b": degraded[0]}


def _degraded_sample(
    images: PixelBlocks, augment: Augmentations, degrade: Augmentations, restore: bool, seed: int, key: SampleKey
) -> PairedBatch:
    """The degradation is drawn by (seed, epoch, index), so it differs in each epoch."""
    rng = sample_rng(seed, *key)
    return _pair(apply_augmentations(images[key[1]], augment, rng), degrade, rng, restore)


def _held_out_sample(
    images: PixelBlocks, names: Sequence[str], degrade: Augmentations, restore: bool, seed: int, index: int
) -> PairedBatch:
    """The degradation depends on the image name and the seed of the split only, so it is always the same."""
    key = int.from_bytes(sha256(f"{seed}/{names[index]!a}".encode()).digest()[:7], "big")
    return _pair(images[index], degrade, sample_rng(key), restore)


@dataclass(eq=False, repr=False)
class DegradedFolderDataModule(FolderDataModule):
    """Pairs of an image and its degraded version. With `restore=True`, `a` is the degraded image and `b` the original; otherwise
    they are swapped, and the model learns to degrade images."""

    _: KW_ONLY
    degrade: Augmentations
    restore: bool = False

    batch_type = PairedBatch
    has_true_pairs = True

    def __post_init__(self) -> None:
        super().__post_init__()
        height, width = self.shape
        empty = torch.zeros((1, self.channels, height, width), dtype=torch.uint8)
        degraded = apply_augmentations(empty, self.degrade, sample_rng(0))
        self.factor = width // degraded.shape[-1]
        if self.factor > 1 and not self.restore:
            raise UserError(
                "data.restore_needed",
                "data.restore=false needs degraded images of the original size, but degrade makes them smaller; "
                "set data.restore=true, or degrade.downscale.keep_size=true",
            )

    def train_samples(self) -> Dataset[Any]:
        (images,) = self.training_blocks()
        make = partial(_degraded_sample, images, self.augment, self.degrade, self.restore, self.seed)
        return LambdaDataset(len(images), make)

    def held_out(self, split: str) -> Dataset[Any]:
        return self._fixed(split)

    def reference_pairs(self) -> Dataset[Any]:
        return self._fixed("train", MAX_REFERENCE_PAIRS)

    def _fixed(self, split: str, limit: int | None = None) -> LambdaDataset:
        (images,), base = self.held_out_images(split), self.tree.base
        names = [path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name for path in images.paths]
        blocks = self.skipping_bad_files(images)
        make = partial(_held_out_sample, blocks, names, self.degrade, self.restore, self.split_seed)
        return LambdaDataset(len(names[:limit]), make)


@dataclass(eq=False, repr=False)
class SuperResolutionFolderDataModule(DegradedFolderDataModule):
    """Pairs for super-resolution. Width and height of `a` are those of `b` divided by `factor`, unless `degrade` enlarges `a`
    again."""

    _: KW_ONLY
    factor: int = 4

    def __post_init__(self) -> None:
        factor = self.factor
        check_at_least("data.factor", factor, 1)
        super().__post_init__()
        if self.factor not in (1, factor):
            raise UserError(
                "data.factor_mismatch",
                f"data.factor={factor}, but degrade makes images {self.factor} times smaller; set data.factor={self.factor}",
            )
