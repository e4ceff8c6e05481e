"""Pictures in folders named after their class; classes are numbered in the order of their names."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.classes import distinct
from stylegan_lab.data.folders.flat import HeldOutPlain, PlainPictures
from stylegan_lab.data.folders.folder_data import Files, FolderData, folder
from stylegan_lab.data.folders.listing import shown
from stylegan_lab.data.folders.packed import laid_out
from stylegan_lab.data.folders.pictures import Blocks
from stylegan_lab.data.folders.tree import Tree
from stylegan_lab.data.sampler import Draw
from stylegan_lab.images.batch import Labelled


class Classes:
    """All pictures of all classes, one class after the other."""

    def __init__(self, each: Sequence[Blocks]) -> None:
        self.each = list(each)
        self.ends = list(accumulate(map(len, self.each)))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Tensor:
        label = self.label(index)
        return self.each[label][index - self.ends[label] + len(self.each[label])]

    def label(self, index: int) -> int:
        return bisect_right(self.ends, index)

    def in_turn(self) -> list[int]:
        """The first of each class, then the second of each: the first few show many classes."""
        starts = [end - len(pictures) for end, pictures in zip(self.ends, self.each, strict=True)]
        return sorted(range(len(self)), key=lambda index: index - starts[self.label(index)])


class LabelledPictures(Dataset[Labelled]):
    def __init__(self, classes: Classes, pictures: PlainPictures) -> None:
        self.classes, self.pictures = classes, pictures

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, draw: Draw) -> Labelled:
        return {"image": self.pictures[draw]["image"], "label": torch.tensor(self.classes.label(draw[1]))}


class HeldOutLabelled(Dataset[Labelled]):
    def __init__(self, classes: Classes) -> None:
        self.classes, self.pictures, self.order = classes, HeldOutPlain(classes), classes.in_turn()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> Labelled:
        index = self.order[place]
        return {"image": self.pictures[index]["image"], "label": torch.tensor(self.classes.label(index))}


@dataclass(eq=False, repr=False)
class LabelledFolders(FolderData):
    """`root` may also hold the packed files of a set (see `packed`)."""

    _: KW_ONLY
    classes: list[str]

    gives = Labelled

    def find(self) -> Files:
        self._note_packed()
        if not self.tree.domains:
            raise self.tree.wrong(
                "labelled", "a folder for each class, in data.root or in train, val and test below it"
            )
        self.classes = distinct(self.classes or self.tree.domains, self.tree.domains)
        splits = [
            self.real(self.split([part for part in self.tree.layout.parts if part.domain == name], name))
            for name in self.classes
        ]
        return {split: [label[split] for label in splits] for split in splits[0]}

    @cached_property
    def tree(self) -> Tree:
        root = folder(self.root)
        return Tree(None if root is None else laid_out(root))

    def _note_packed(self) -> None:
        asked = folder(self.root)
        if asked is None or self.tree.base == asked.absolute():
            return
        self.note(f"{shown(asked)} was unpacked into {shown(self.tree.base)}")
        if not any(part.split for part in self.tree.layout.parts):
            count = sum(len(part.files) for part in self.tree.layout.parts)
            self.note(
                f"only one of the set's splits is there: data.val_share={self.val_share} and data.test_share={self.test_share} "
                f"of its {count:,} pictures are held out"
            )

    def class_counts(self) -> Tensor:
        """Of the training's pictures."""
        return torch.tensor([len(pictures) for pictures in self.training]).double()

    def train_samples(self) -> Dataset[Any]:
        classes = Classes([self.lenient(pictures) for pictures in self.training])
        return LabelledPictures(classes, PlainPictures(classes, self.augment, self.seed))

    def held_out(self, split: str) -> Dataset[Any]:
        return HeldOutLabelled(Classes([self.lenient(pictures) for pictures in self.held_out_pictures(split)]))
