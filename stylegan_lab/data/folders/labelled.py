"""Images in one folder per class. The labels number the classes in the order of their names."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.datamodule import check_classes
from stylegan_lab.data.download.formats import unpack_known_formats
from stylegan_lab.data.folders.flat import image_sample
from stylegan_lab.data.folders.folder_datamodule import Augmentations, Files, FolderDataModule, expand_path
from stylegan_lab.data.folders.image_list import PixelBlocks
from stylegan_lab.data.folders.tree import FolderTree
from stylegan_lab.data.sampler import LambdaDataset, SampleKey
from stylegan_lab.images.batch import LabelledBatch
from stylegan_lab.images.open_image import display_name


class ClassImages:
    """The images of all classes in one list, ordered by class."""

    def __init__(self, per_class: Sequence[PixelBlocks]) -> None:
        self.per_class = list(per_class)
        self.ends = list(accumulate(map(len, self.per_class)))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Tensor:
        label = self.label(index)
        return self.per_class[label][index - self.ends[label] + len(self.per_class[label])]

    def label(self, index: int) -> int:
        return bisect_right(self.ends, index)

    def interleaved_indices(self) -> list[int]:
        """Return the indices of the first image of each class, then of the second image of each class, and so on. The first few
        images then show many classes."""
        starts = [end - len(images) for end, images in zip(self.ends, self.per_class, strict=True)]
        return sorted(range(len(self)), key=lambda index: index - starts[self.label(index)])


def _labelled_sample(classes: ClassImages, augment: Augmentations, seed: int, key: SampleKey) -> LabelledBatch:
    return {**image_sample(classes, augment, seed, key), "label": torch.tensor(classes.label(key[1]))}


def _held_out_sample(classes: ClassImages, order: Sequence[int], position: int) -> LabelledBatch:
    index = order[position]
    return {"image": classes[index][0], "label": torch.tensor(classes.label(index))}


@dataclass(eq=False, repr=False)
class LabelledFoldersDataModule(FolderDataModule):
    """Images with one folder per class. `root` may also contain the idx files of MNIST or the binary batches of CIFAR-10, which are
    unpacked."""

    _: KW_ONLY
    classes: list[str]

    batch_type = LabelledBatch

    def find_files(self) -> Files:
        self._note_unpacked()
        if not self.tree.domains:
            wanted = "a folder for each class, in data.root or in train, val and test below it"
            raise self.tree.layout_error("labelled", wanted)
        self.classes = check_classes(self.classes or self.tree.domains, self.tree.domains)
        return self.split_domains(self.classes)

    @cached_property
    def tree(self) -> FolderTree:
        root = expand_path(self.root)
        return FolderTree(None if root is None else unpack_known_formats(root))

    def _note_unpacked(self) -> None:
        root = expand_path(self.root)
        if root is None or self.tree.base == root.absolute():
            return
        self.add_plan_note(f"{display_name(root)} was extracted to {display_name(self.tree.base)}")
        if not any(part.split for part in self.tree.layout.parts):
            count = sum(len(part.files) for part in self.tree.layout.parts)
            self.add_plan_note(
                f"only one split of the data set was found: data.val_fraction={self.val_fraction} and "
                f"data.test_fraction={self.test_fraction} of its {count:,} images are held out"
            )

    def class_counts(self) -> Tensor:
        """The number of training images of each class."""
        return torch.tensor([len(images) for images in self.training_images]).double()

    def train_samples(self) -> Dataset[Any]:
        classes = ClassImages(self.training_blocks())
        return LambdaDataset(len(classes), partial(_labelled_sample, classes, self.augment, self.seed))

    def held_out(self, split: str) -> Dataset[Any]:
        classes = ClassImages(self.held_out_blocks(split))
        return LambdaDataset(len(classes), partial(_held_out_sample, classes, classes.interleaved_indices()))
