"""Three digits stacked as colours: 1,000 modes that are known, to count those a generator makes (Metz et al., 2017)."""

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.image_data import ImageData
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.images.batch import Labelled
from stylegan_lab.mistake import Mistake, at_least

COLOURS = 3


class Stacks(Dataset[Labelled]):
    """`count` stacks, each of three digits drawn by its number; a label is those digits read as one number."""

    def __init__(self, digits: Callable[[int], Labelled], among: int, classes: int, count: int, split: int) -> None:
        self.digits, self.among, self.classes, self.count, self.split = digits, among, classes, count, split

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, draw: Draw | int) -> Labelled:
        index = draw if isinstance(draw, int) else draw[1]
        places = torch.randint(self.among, (COLOURS,), generator=dice(self.split, index)).tolist()
        stacked = [self.digits(place) for place in places]
        label = torch.tensor(0)
        for digit in stacked:
            label = label * self.classes + digit["label"]
        return {"image": torch.cat([digit["image"] for digit in stacked]), "label": label}


class StackedDigits(ImageData):
    """`digits` are labelled pictures of one channel; stacks of a split are of the digits of that split."""

    gives = Labelled

    def __init__(
        self,
        digits: ImageData,
        size: int = 32,
        channels: int = 3,
        batch_size: int = 64,
        workers: int = 0,
        train_stacks: int = 128_000,
        val_stacks: int = 500,
        test_stacks: int = 26_000,
    ) -> None:
        super().__init__(size, channels, batch_size, workers)
        if digits.gives is not Labelled or digits.channels != 1 or digits.size != size or channels != COLOURS:
            raise Mistake(
                f"data.digits: labelled pictures of 1 channel and {size} pixels are expected, to be stacked to data.channels=3"
            )
        self.digits = digits
        self.counts = {"train": train_stacks, "val": val_stacks, "test": test_stacks}
        for split, count in self.counts.items():
            at_least(f"data.{split}_stacks", count, 1)
        self.notes = digits.notes

    @property
    def singles(self) -> list[str]:
        """The classes of one digit."""
        return list(self.digits.classes)  # type: ignore[attr-defined]

    @property
    def classes(self) -> list[str]:
        """All modes; that of the first colour is told first."""
        return ["".join(stack) for stack in product(self.singles, repeat=COLOURS)]

    def class_counts(self) -> Tensor:
        """How often each mode would be met if every stack of the training's digits were."""
        single = self.digits.class_counts()  # type: ignore[attr-defined]
        return torch.einsum("i,j,k->ijk", single, single, single).flatten()

    def train_samples(self) -> Dataset[Any]:
        return self._training(self.digits.train_samples())

    def plain_samples(self) -> Dataset[Any]:
        return self._training(self.digits.plain_samples())

    def held_out(self, split: str) -> Dataset[Any]:
        digits = self.digits.held_out(split)
        return self._stacks(lambda place: digits[place], digits, split)

    def _training(self, digits: Dataset[Any]) -> Stacks:
        return self._stacks(lambda place: digits[(0, place)], digits, "train")

    def _stacks(self, read: Callable[[int], Labelled], digits: Dataset[Any], split: str) -> Stacks:
        among: int = len(digits)  # type: ignore[arg-type]
        return Stacks(read, among, len(self.singles), self.counts[split], list(self.counts).index(split))


def single_digits(stacked: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Each colour of the stacks as a picture of its own, with its own label."""
    each = [labels // classes ** (COLOURS - 1 - colour) % classes for colour in range(COLOURS)]
    return torch.cat(stacked.split(1, dim=1)), torch.cat(each)
