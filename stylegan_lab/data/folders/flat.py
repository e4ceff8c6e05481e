"""Images of one domain, at any depth below a folder."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_datamodule import Augmentations, FolderDataModule
from stylegan_lab.data.folders.image_list import PixelBlocks
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_rng
from stylegan_lab.images.batch import ImageBatch
from stylegan_lab.images.transforms.augment import apply_augmentations


def image_sample(images: PixelBlocks, augment: Augmentations, seed: int, key: SampleKey) -> ImageBatch:
    return {"image": apply_augmentations(images[key[1]], augment, sample_rng(seed, *key))[0]}


def _held_out_image(images: PixelBlocks, index: int) -> ImageBatch:
    return {"image": images[index][0]}


@dataclass(eq=False, repr=False)
class FlatFolderDataModule(FolderDataModule):
    batch_type = ImageBatch

    def train_samples(self) -> Dataset[Any]:
        (images,) = self.training_blocks()
        return LambdaDataset(len(images), partial(image_sample, images, self.augment, self.seed))

    def held_out(self, split: str) -> Dataset[Any]:
        (images,) = self.held_out_blocks(split)
        return LambdaDataset(len(images), partial(_held_out_image, images))
