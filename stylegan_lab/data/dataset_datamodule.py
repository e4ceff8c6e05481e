"""Trains on any torch Dataset whose samples are dicts. Sample order, resuming and scores are the same as for other data modules."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypedDict

import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_index, sample_rng
from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import BatchType, ImageBatch, LabelledBatch, PairedBatch, UnpairedBatch, batch_type_keys

IMAGES = ("a", "b", "image")  # the keys of images that models translate or generate
CHECKED_SAMPLES = 8


class DatasetDataModule(ImageDataModule):
    """Trains on your own Dataset. The samples are dicts such as {"a": image, "b": image}, indexed by integers.

    Images are (C, H, W), uint8 or floats in [-1, 1]. Random numbers that the dataset draws from torch, numpy or `random` depend
    only on the seed, the epoch and the index, so that a resumed training continues exactly. `paired` says that `b` is the true
    translation of `a`; `classes` are the names of the values of `label`.
    """

    setting_names = ("data.dataset", "data.val_dataset", "data.test_dataset")  # for messages

    def __init__(
        self,
        dataset: Dataset[Any],
        val_dataset: Dataset[Any] | None = None,
        test_dataset: Dataset[Any] | None = None,
        size: int = 64,
        channels: int = 3,
        batch_size: int = 1,
        num_workers: int = 0,
        paired: bool = False,
        classes: Sequence[str] = (),
    ) -> None:
        super().__init__(size, channels, batch_size, num_workers)
        self.has_true_pairs, self.classes = paired, [str(name) for name in classes]
        held_out = {"val": val_dataset or test_dataset, "test": test_dataset or val_dataset}
        self.datasets = {"train": dataset} | {split: each or dataset for split, each in held_out.items()}
        if held_out["val"] is None:
            self.plan_notes.append(
                f"nothing is held out: val and test use training samples; see {self.setting_names[1]}"
            )
        for name, each in zip(self.setting_names, (dataset, val_dataset, test_dataset), strict=True):
            if each is not None:
                self._check(name, each)
        self.keys = tuple(self._sample("train", 0, 0))
        self.batch_type = self._batch_type()

    def train_samples(self) -> Dataset[Any]:
        return self._samples("train")

    def held_out(self, split: str) -> Dataset[Any]:
        return self._samples(split)

    def has_keys_of(self, required: BatchType) -> bool:
        """Return whether the samples have at least the keys of a batch type."""
        return set(batch_type_keys(required)) <= set(self.keys)

    @property
    def batch_description(self) -> str:
        paired = str(self.has_true_pairs).lower()
        hint = "; true if b is the translation of a" if "b" in self.keys and not self.has_true_pairs else ""
        return f"samples with the keys {', '.join(self.keys)} (data.paired={paired}{hint})"

    def class_counts(self) -> Tensor:
        """The number of training images of each class. The first access reads every sample once."""
        labels = [int(self._sample("train", 0, index)["label"]) for index in range(self.num_samples)]
        return torch.bincount(torch.tensor(labels), minlength=len(self.classes)).double()

    def _samples(self, split: str) -> LambdaDataset:
        return LambdaDataset(len(self.datasets[split]), partial(seeded_sample, self.datasets[split], self.seed))  # type: ignore[arg-type]

    def _sample(self, split: str, *key: int) -> Any:
        return seeded_sample(self.datasets[split], 0, key)  # type: ignore[arg-type]

    def _batch_type(self) -> BatchType:
        """The known type that says most about these keys, for the scores that can be computed."""
        if "image" in self.keys:
            return LabelledBatch if "label" in self.keys and self.classes else ImageBatch
        if {"a", "b"} <= set(self.keys) and "source" not in self.keys:
            return PairedBatch if self.has_true_pairs else UnpairedBatch
        return TypedDict("SampleBatch", dict.fromkeys(self.keys, Any))  # type: ignore[operator]

    def _check(self, setting: str, dataset: Dataset[Any]) -> None:
        """Refuse data that training would fail with."""
        name = f"{setting} ({type(dataset).__name__})"
        if isinstance(dataset, IterableDataset):
            raise UserError(
                "data.iterable_dataset",
                f"{name} is an IterableDataset, which cannot be shuffled by the seed or resumed exactly; "
                "give a Dataset with __getitem__ and __len__",
            )
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise UserError(
                "data.not_a_dataset", f"{name} is not a map-style Dataset; give one with __getitem__ and __len__"
            )
        if not (count := len(dataset)):
            raise UserError("data.dataset_empty", f"{name} is empty; give a Dataset with at least one sample")
        samples = [seeded_sample(dataset, 0, (0, index)) for index in range(min(count, CHECKED_SAMPLES))]
        for sample in samples:
            if not isinstance(sample, Mapping):
                raise UserError(
                    "data.sample_not_a_dict",
                    f'{name}: a sample is a {type(sample).__name__}; return a dict such as {{"a": image, "b": image}}',
                )
            for key in IMAGES:
                if key in sample:
                    self._check_image(f"{name}: {key}", sample[key])
        images = [sample[key] for sample in samples for key in IMAGES if key in sample]
        if images and all(image.is_floating_point() and image.min() >= 0 for image in images):
            self.plan_notes.append(
                f"warning: no image of {setting} has a negative value; floats are in [-1, 1], not [0, 1]"
            )

    def _check_image(self, name: str, image: Any) -> None:
        if not isinstance(image, Tensor) or image.dim() != 3:
            found = f"a tensor of {image.dim()} dimensions" if isinstance(image, Tensor) else type(image).__name__
            raise UserError(
                "data.not_an_image", f"{name} is {found}; return a tensor (C, H, W) of uint8, or of floats in [-1, 1]"
            )
        channels, height, width = image.shape
        if channels != self.channels or self.size not in (height, width):
            raise UserError(
                "data.size_mismatch",
                f"{name} has {channels} channels and {width}x{height} pixels; set data.channels={channels} "
                f"data.size={min(height, width)}, "
                "or resize the images in the dataset",
            )
        if image.is_floating_point() and image.abs().max() > 1:
            raise UserError(
                "data.values_out_of_range",
                f"{name} has values from {float(image.min()):g} to {float(image.max()):g}; return uint8, or floats in [-1, 1]",
            )


def seeded_sample(dataset: Dataset[Any], seed: int, key: SampleKey | int) -> Any:
    """Return one sample. The random numbers that the dataset draws for it depend only on the seed and the key."""
    with seeded(sample_rng(seed, *(key if isinstance(key, tuple) else (0, key))).initial_seed()):
        return dataset[sample_index(key)]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the context, torch's CPU generator, numpy and Python's `random` are seeded. Their states are restored afterwards."""
    with isolate_rng(include_cuda=False):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield
