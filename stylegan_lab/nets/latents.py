"""Latents: the noise that generators turn into pictures."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.mistake import at_least


class Latents:
    """Draws `count` rows of `size` numbers, on the CPU."""

    def __init__(self, size: int) -> None:
        at_least("latents.size", size, 1)
        self.size = size

    def __call__(self, count: int, dice: torch.Generator | None = None) -> Tensor:
        raise NotImplementedError


class Normal(Latents):
    def __call__(self, count: int, dice: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, self.size, generator=dice)


class Uniform(Latents):
    """From -1 to 1 (Radford et al., 2016), or as far as `reach`."""

    def __init__(self, size: int, reach: float = 1.0) -> None:
        super().__init__(size)
        at_least("latents.reach", reach, 0)
        self.reach = reach

    def __call__(self, count: int, dice: torch.Generator | None = None) -> Tensor:
        return (torch.rand(count, self.size, generator=dice) * 2 - 1) * self.reach


class OnSphere(Normal):
    """Directions alone, of mean square 1 (Karras et al., 2018)."""

    def __call__(self, count: int, dice: torch.Generator | None = None) -> Tensor:
        return F.normalize(super().__call__(count, dice), dim=1) * self.size**0.5


def numbered(draw: Callable[[int, torch.Generator], Tensor], seed: int, first: int, count: int) -> Tensor:
    """Rows number `first`, `first` + 1, ... of an endless sheet that is the same however it is cut."""
    rows = (
        torch.Generator().manual_seed(random.Random(f"{seed} {row}").getrandbits(63))
        for row in range(first, first + count)
    )
    return torch.cat([draw(1, dice) for dice in rows])
