"""Pictures of one kind, whatever folders they lie in."""

from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_data import Augmentations, Files, FolderData
from stylegan_lab.data.folders.pictures import Blocks
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.images.augment import augmented
from stylegan_lab.images.batch import Plain


class PlainPictures(Dataset[Plain]):
    def __init__(self, pictures: Blocks, augment: Augmentations, seed: int) -> None:
        self.pictures, self.augment, self.seed = pictures, augment, seed

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, draw: Draw) -> Plain:
        epoch, index = draw
        return {"image": augmented(self.pictures[index], self.augment, dice(self.seed, epoch, index))[0]}


class HeldOutPlain(Dataset[Plain]):
    def __init__(self, pictures: Blocks) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Plain:
        return {"image": self.pictures[index][0]}


@dataclass(eq=False, repr=False)
class FlatFolder(FolderData):
    gives = Plain

    def find(self) -> Files:
        splits = self.real(self.split(self.tree.layout.parts, self.tree.name))
        return {split: [paths] for split, paths in splits.items()}

    def train_samples(self) -> Dataset[Any]:
        (pictures,) = self.training
        return PlainPictures(self.lenient(pictures), self.augment, self.seed)

    def held_out(self, split: str) -> Dataset[Any]:
        (pictures,) = self.held_out_pictures(split)
        return HeldOutPlain(self.lenient(pictures))
