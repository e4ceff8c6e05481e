"""Three digits stacked as color channels, which give 1,000 known modes. They show how many modes a generator covers (Metz et al.,
2017)."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_index, sample_rng
from stylegan_lab.data.synthetic.generated import GeneratedDataModule
from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import LabelledBatch

STACKED_CHANNELS = 3


def _stack(
    digits: Callable[[int], LabelledBatch], num_digits: int, classes: int, split: int, key: SampleKey | int
) -> LabelledBatch:
    """A stack of three digits, drawn by index. The label is the number that the digits form."""
    rng = sample_rng(split, sample_index(key))
    stacked = [digits(index) for index in torch.randint(num_digits, (STACKED_CHANNELS,), generator=rng).tolist()]
    label = torch.tensor(0)
    for digit in stacked:
        label = label * classes + digit["label"]
    return {"image": torch.cat([digit["image"] for digit in stacked]), "label": label}


@dataclass(eq=False, repr=False)
class StackedDigitsDataModule(GeneratedDataModule):
    """Stacks of three digits. `digits` is a labelled data module with one channel; each split stacks digits of the same split of
    `digits`."""

    digits: ImageDataModule
    _: KW_ONLY
    size: int = 32
    batch_size: int = 64
    train_images: int = 128_000
    val_images: int = 500
    test_images: int = 26_000

    batch_type = LabelledBatch

    def __post_init__(self) -> None:
        super().__post_init__()
        labelled = self.digits.batch_type is LabelledBatch
        if (
            not labelled
            or self.channels != STACKED_CHANNELS
            or (self.digits.channels, self.digits.size) != (1, self.size)
        ):
            raise UserError(
                "data.digits_mismatch",
                f"data.digits must give labelled images of 1 channel and {self.size} pixels, and data.channels must be 3",
            )
        self.plan_notes = self.digits.plan_notes

    @property
    def digit_classes(self) -> list[str]:
        """The classes of a single digit."""
        return list(self.digits.classes)  # type: ignore[attr-defined]

    @property
    def classes(self) -> list[str]:
        """All modes, named by their three digits."""
        return ["".join(stack) for stack in product(self.digit_classes, repeat=STACKED_CHANNELS)]

    def class_counts(self) -> Tensor:
        """The relative frequency of each mode in the training data."""
        single = self.digits.class_counts()  # type: ignore[attr-defined]
        return torch.einsum("i,j,k->ijk", single, single, single).flatten()

    def train_samples(self) -> Dataset[Any]:
        return self._training_stacks(self.digits.train_samples())

    def unaugmented_samples(self) -> Dataset[Any]:
        return self._training_stacks(self.digits.unaugmented_samples())

    def held_out(self, split: str) -> Dataset[Any]:
        digits = self.digits.held_out(split)
        return self._stacked(lambda index: digits[index], digits, split)

    def _training_stacks(self, digits: Dataset[Any]) -> LambdaDataset:
        return self._stacked(lambda index: digits[(0, index)], digits, "train")

    def _stacked(self, read: Callable[[int], LabelledBatch], digits: Dataset[Any], split: str) -> LambdaDataset:
        num_digits: int = len(digits)  # type: ignore[arg-type]
        number = list(self.counts).index(split)
        return LambdaDataset(self.counts[split], partial(_stack, read, num_digits, len(self.digit_classes), number))


def single_digits(stacked: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return each channel of the stacks as a separate image, with the label of its digit."""
    each = [labels // classes ** (STACKED_CHANNELS - 1 - color) % classes for color in range(STACKED_CHANNELS)]
    return torch.cat(stacked.split(1, dim=1)), torch.cat(each)
