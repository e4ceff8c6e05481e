"""Data sets of samples, and the order of the training samples.

This order depends on the seed and the epoch only, not on workers, ranks or interruptions.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

# More epochs than any training has. An extra draw comes from a later epoch, so that its augmentation is independent.
EPOCHS = 2**32
SampleKey = tuple[int, int]  # epoch, index: a data set derives all random numbers of a sample from these two


class LambdaDataset(Dataset[Any]):
    """A data set of `count` samples. `make` returns the sample of a key. It is sent to loader workers, so it must be picklable."""

    def __init__(self, count: int, make: Callable[[Any], Any]) -> None:
        self.count, self.make = count, make

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: Any) -> Any:
        return self.make(key)


class WithExtraDraws(Dataset[Any]):
    """Adds independent draws to training samples. `draws` maps each new key to an existing key: its value is taken from that key of
    another random sample.

    Like the sample itself, the other sample and its augmentation depend on (seed, epoch, index) only.
    """

    def __init__(self, samples: Dataset[Any], draws: Mapping[str, str], seed: int) -> None:
        self.samples, self.draws, self.seed = samples, dict(draws), seed

    def __len__(self) -> int:
        return len(self.samples)  # type: ignore[arg-type]

    def __getitem__(self, key: SampleKey) -> dict[str, Any]:
        epoch, index = key
        drawn = {}
        for number, (name, source) in enumerate(self.draws.items(), start=1):
            other = int(torch.randint(len(self), (), generator=sample_rng(self.seed, epoch, index, number)))
            drawn[name] = self.samples[epoch + number * EPOCHS, other][source]
        return {**self.samples[key], **drawn}


class EpochSampler(Sampler[SampleKey]):
    """Yields the keys of one rank in the shuffled order of each epoch. The first epoch is `epoch`, and its first `start` samples
    (over all ranks) are skipped.

    `repeat` restricts training to that many samples, the first of epoch 0, to test whether a model can overfit them.
    """

    def __init__(
        self,
        num_samples: int,
        seed: int,
        *,
        epoch: int = 0,
        start: int = 0,
        rank: int = 0,
        ranks: int = 1,
        repeat: int | None = None,
    ) -> None:
        self.num_samples, self.seed = num_samples, seed
        self.epoch = self.first_epoch = epoch
        self.start, self.rank, self.ranks, self.repeat = start, rank, ranks, repeat

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch to shuffle for. Lightning calls this method at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return (self.repeat or self.num_samples) // self.ranks

    def __iter__(self) -> Iterator[SampleKey]:
        epoch = 0 if self.repeat else self.epoch
        order = shuffled(self.num_samples, self.seed, epoch)[: len(self) * self.ranks]
        start = self.start if self.epoch == self.first_epoch else 0
        return iter([(epoch, index) for index in order[start + self.rank :: self.ranks]])


def shuffled(count: int, *key: int) -> list[int]:
    """Return a permutation of `range(count)` that depends on the key only."""
    return torch.randperm(count, generator=sample_rng(*key)).tolist()


def sample_rng(*key: int) -> torch.Generator:
    """Return a random generator seeded by the integers of the key. Different keys give unrelated random numbers."""
    mixed = 0x9E3779B97F4A7C15
    for number in key:
        mixed = ((mixed ^ number) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return torch.Generator().manual_seed(mixed >> 1)


def sample_index(key: SampleKey | int) -> int:
    """Return the index part of a key, which identifies a sample in all epochs."""
    return key if isinstance(key, int) else key[1]
