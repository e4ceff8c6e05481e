"""Latent distributions: the noise that generators turn into images."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.errors import check_at_least
from stylegan_lab.rng import device_of


class Latents:
    """Base class of latent distributions. An instance draws latents (count, size) on the device of the torch generator that it is
    called with."""

    def __init__(self, size: int) -> None:
        check_at_least("latents.size", size, 1)
        self.size = size

    def __call__(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        raise NotImplementedError


class NormalLatents(Latents):
    """Latents from the normal distribution N(0, 1)."""

    def __call__(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, self.size, generator=rng, device=device_of(rng))


class UniformLatents(Latents):
    """Latents from the uniform distribution U(-`bound`, `bound`). The bound is 1 in DCGAN (Radford et al., 2016)."""

    def __init__(self, size: int, bound: float = 1.0) -> None:
        super().__init__(size)
        check_at_least("latents.bound", bound, 0)
        self.bound = bound

    def __call__(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        return (torch.rand(count, self.size, generator=rng, device=device_of(rng)) * 2 - 1) * self.bound


class SphereLatents(NormalLatents):
    """Latents from the uniform distribution on a hypersphere. Their mean square is 1 (Karras et al., 2018)."""

    def __call__(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        return F.normalize(super().__call__(count, rng), dim=1) * self.size**0.5


def numbered_latents(draw: Callable[[int, torch.Generator], Tensor], seed: int, first: int, count: int) -> Tensor:
    """Return the latents `first` to `first` + `count` - 1 of an endless sequence. Each latent depends only on the seed and on its
    number."""
    rngs = (
        torch.Generator().manual_seed(random.Random(f"{seed} {row}").getrandbits(63))
        for row in range(first, first + count)
    )
    return torch.cat([draw(1, rng) for rng in rngs])
