"""Pictures in folders named after their class; classes are numbered in the order of their names."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.folders.flat import HeldOutPlain, PlainPictures
from stylegan_lab.data.folders.folder_data import Files, FolderData
from stylegan_lab.data.folders.pictures import Blocks
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


class LabelledPictures(Dataset[Labelled]):
    def __init__(self, classes: Classes, pictures: PlainPictures | HeldOutPlain) -> None:
        self.classes, self.pictures = classes, pictures

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, draw: Draw | int) -> Labelled:
        index = draw if isinstance(draw, int) else draw[1]
        plain: Any = self.pictures
        return {"image": plain[draw]["image"], "label": torch.tensor(self.classes.label(index))}


@dataclass(eq=False, repr=False)
class LabelledFolders(FolderData):
    gives = Labelled

    def find(self) -> Files:
        if not self.tree.domains:
            raise self.tree.wrong(
                "labelled", "a folder for each class, in data.root or in train, val and test below it"
            )
        splits = [
            self.real(self.split([part for part in self.tree.layout.parts if part.domain == name], name))
            for name in self.classes
        ]
        return {split: [label[split] for label in splits] for split in splits[0]}

    @property
    def classes(self) -> list[str]:
        return self.tree.domains

    def train_samples(self) -> Dataset[Any]:
        classes = Classes([self.lenient(pictures) for pictures in self.training])
        return LabelledPictures(classes, PlainPictures(classes, self.augment, self.seed))

    def held_out(self, split: str) -> Dataset[Any]:
        classes = Classes([self.lenient(pictures) for pictures in self.held_out_pictures(split)])
        return LabelledPictures(classes, HeldOutPlain(classes))
