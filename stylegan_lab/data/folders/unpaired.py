"""Two unpaired domains, in the folders trainA and trainB or in any two folders."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_datamodule import Augmentations, Files, FolderDataModule, expand_path
from stylegan_lab.data.folders.image_list import PixelBlocks
from stylegan_lab.data.folders.tree import FolderTree
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_rng
from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.images.transforms.augment import apply_augmentations


def unpaired_samples(a: PixelBlocks, b: PixelBlocks, augment: Augmentations, seed: int) -> LambdaDataset:
    """Return samples that show every `a` once per epoch, or more often if `b` has more images. The `b` of a sample is drawn by
    (seed, epoch, index)."""
    return LambdaDataset(max(len(a), len(b)), partial(_unpaired_sample, a, b, augment, seed))


def _unpaired_sample(
    a: PixelBlocks, b: PixelBlocks, augment: Augmentations, seed: int, key: SampleKey
) -> UnpairedBatch:
    rng = sample_rng(seed, *key)
    partner = int(torch.randint(len(b), (), generator=rng))
    return {
        "a": apply_augmentations(a[key[1] % len(a)], augment, rng)[0],
        "b": apply_augmentations(b[partner], augment, rng)[0],
    }


class HeldOutUnpairedDataset(Dataset[UnpairedBatch]):
    """All images of two domains. The images of the smaller domain are repeated, from the first one on."""

    def __init__(self, a: PixelBlocks, b: PixelBlocks) -> None:
        self.a, self.b = a, b
        self.num_distinct = len(a), len(b)

    def __len__(self) -> int:
        return max(self.num_distinct)

    def __getitem__(self, index: int) -> UnpairedBatch:
        return {"a": self.a[index % len(self.a)][0], "b": self.b[index % len(self.b)][0]}


@dataclass(eq=False, repr=False)
class UnpairedFoldersDataModule(FolderDataModule):
    _: KW_ONLY
    a: str | None = None
    b: str | None = None

    batch_type = UnpairedBatch

    @cached_property
    def tree(self) -> FolderTree:
        return two_folder_tree(self.root, self.a, self.b)

    def find_files(self) -> Files:
        if len(self.tree.domains) != 2:
            wanted = "two domains, trainA and trainB (and testA, testB) in data.root, or data.a=FOLDER data.b=FOLDER"
            raise self.tree.layout_error("unpaired", wanted)
        files = self.split_domains(self.tree.domains)
        self.note_imbalance(self.tree.domains, files)
        return files

    def train_samples(self) -> Dataset[Any]:
        a, b = self.training_blocks()
        return unpaired_samples(a, b, self.augment, self.seed)

    def held_out(self, split: str) -> Dataset[Any]:
        return HeldOutUnpairedDataset(*self.held_out_blocks(split))


def two_folder_tree(root: str | None, a: str | None, b: str | None) -> FolderTree:
    """Return the tree of the folders `a` and `b` if they are given, otherwise of `root`."""
    if a is None and b is None:
        return FolderTree(expand_path(root))
    if a is None or b is None:
        given, other = ("a", "b") if b is None else ("b", "a")
        raise UserError("data.folder_not_set", f"data.{given} is set, so set data.{other}=FOLDER too")
    return FolderTree(None, {"a": Path(a).expanduser(), "b": Path(b).expanduser()})
