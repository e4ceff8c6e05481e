"""Two domains that have nothing to do with each other picture by picture: trainA and trainB, or any two folders."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_data import Augmentations, Files, FolderData, folder
from stylegan_lab.data.folders.pictures import Blocks
from stylegan_lab.data.folders.tree import Tree
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.images.augment import augmented
from stylegan_lab.images.batch import Unpaired
from stylegan_lab.mistake import Mistake


class UnpairedPictures(Dataset[Unpaired]):
    """Every `a` once an epoch, or more often if there are more `b`; with each a `b` drawn by (seed, epoch, index)."""

    def __init__(self, a: Blocks, b: Blocks, augment: Augmentations, seed: int) -> None:
        self.a, self.b, self.augment, self.seed = a, b, augment, seed

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, draw: Draw) -> Unpaired:
        epoch, index = draw
        chance = dice(self.seed, epoch, index)
        partner = int(torch.randint(len(self.b), (), generator=chance))
        return {
            "a": augmented(self.a[index % len(self.a)], self.augment, chance)[0],
            "b": augmented(self.b[partner], self.augment, chance)[0],
        }


class HeldOutPictures(Dataset[Unpaired]):
    """All of both; the smaller domain again from its beginning."""

    def __init__(self, a: Blocks, b: Blocks) -> None:
        self.a, self.b = a, b
        self.distinct = len(a), len(b)

    def __len__(self) -> int:
        return max(self.distinct)

    def __getitem__(self, index: int) -> Unpaired:
        return {"a": self.a[index % len(self.a)][0], "b": self.b[index % len(self.b)][0]}


@dataclass(eq=False, repr=False)
class UnpairedFolders(FolderData):
    _: KW_ONLY
    a: str | None = None
    b: str | None = None

    gives = Unpaired

    @cached_property
    def tree(self) -> Tree:
        return tree_of_two(self.root, self.a, self.b)

    def find(self) -> Files:
        if len(self.tree.domains) != 2:
            wanted = "two domains, trainA and trainB (and testA, testB) in data.root, or data.a=FOLDER data.b=FOLDER"
            raise self.tree.wrong("unpaired", wanted)
        parts = self.tree.layout.parts
        a, b = (
            self.real(self.split([part for part in parts if part.domain == name], name)) for name in self.tree.domains
        )
        files = {split: [a[split], b[split]] for split in a}
        self.note_balance(self.tree.domains, files)
        return files

    def train_samples(self) -> Dataset[Any]:
        a, b = map(self.lenient, self.training)
        return UnpairedPictures(a, b, self.augment, self.seed)

    def held_out(self, split: str) -> Dataset[Any]:
        return HeldOutPictures(*map(self.lenient, self.held_out_pictures(split)))


def tree_of_two(root: str | None, a: str | None, b: str | None) -> Tree:
    """Two folders by name, or whatever the root holds."""
    if a is None and b is None:
        return Tree(folder(root))
    if a is None or b is None:
        raise Mistake(f"data.{'b' if b is None else 'a'}=FOLDER is needed too, beside data.{'a' if b is None else 'b'}")
    return Tree(None, {"a": Path(a).expanduser(), "b": Path(b).expanduser()})
