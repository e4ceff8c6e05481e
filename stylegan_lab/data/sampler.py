"""The order of training samples, decided by (seed, epoch) alone: no worker, rank or interruption changes it."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

Draw = tuple[int, int]  # epoch, index: a dataset derives all chance in a sample from these two


class EpochSampler(Sampler[Draw]):
    """This rank's share of each epoch's shuffled order, starting `start` samples (over all ranks) into epoch `epoch`.

    `repeat` keeps to the first so many samples of epoch 0, again and again: overfitting, to see whether a model can learn.
    """

    def __init__(
        self,
        samples: int,
        seed: int,
        *,
        epoch: int = 0,
        start: int = 0,
        rank: int = 0,
        ranks: int = 1,
        repeat: int | None = None,
    ) -> None:
        self.samples, self.seed = samples, seed
        self.epoch = self.first_epoch = epoch
        self.start, self.rank, self.ranks, self.repeat = start, rank, ranks, repeat

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning as each epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return (self.repeat or self.samples) // self.ranks

    def __iter__(self) -> Iterator[Draw]:
        epoch = 0 if self.repeat else self.epoch
        order = shuffled(self.samples, self.seed, epoch)[: len(self) * self.ranks]
        start = self.start if self.epoch == self.first_epoch else 0
        return iter([(epoch, index) for index in order[start + self.rank :: self.ranks]])


def shuffled(samples: int, *key: int) -> list[int]:
    order: list[int] = torch.randperm(samples, generator=dice(*key)).tolist()
    return order


def dice(*key: int) -> torch.Generator:
    """A generator named by integers; different keys give unrelated streams."""
    mixed = 0x9E3779B97F4A7C15
    for number in key:
        mixed = ((mixed ^ number) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return torch.Generator().manual_seed(mixed >> 1)
