"""Penalties on a critic's gradient: what keeps its judgement smooth. Each may be lazy: taken every so often, scaled up to match.

They run in float32 whatever the precision of the rest, and measure the gradient of the sum of an image's logits over
all of that image's values, so that no image in a batch and no patch of it is averaged away by accident.
"""

from typing import Protocol

import torch
from torch import Tensor

from stylegan_lab.losses.draws import for_each
from stylegan_lab.losses.terms import precise
from stylegan_lab.nets.verdict import Judge


class Penalty(Protocol):
    every: int

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor: ...


class GradientPenalty:
    """WGAN-GP (Gulrajani et al., 2017): the gradient's norm pulled to 1 between a real and a fake, one point per pair.

    A patch critic's logits are averaged, so that the constraint is on the same quantity whatever the picture's size.
    """

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        mix = for_each(len(real), lambda count, dice: torch.rand(count, 1, 1, 1, generator=dice)).to(precise(real))
        between = precise(real) * mix + precise(fake) * (1 - mix)
        norm = input_gradient(judge, between, mean_over_patches=True).flatten(1).norm(dim=1)
        return self.weight * self.every * (norm - 1).square().mean()


class R1:
    """Mescheder et al. (2018): weight / 2 times the squared gradient norm on real images."""

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight * self.every / 2 * _mean_squared_norm(input_gradient(judge, real))


class R2:
    """R1's twin on generated images (Mescheder et al., 2018)."""

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight * self.every / 2 * _mean_squared_norm(input_gradient(judge, fake))


class Drift:
    """ProGAN (Karras et al., 2018): logits of real images kept from drifting off, which a Wasserstein game lets them do."""

    def __init__(self, weight: float = 1e-3, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
        squares = [precise(logits).square().mean() for logits in judge(real).logits]
        return self.weight * self.every * torch.stack(squares).sum()


def input_gradient(judge: Judge, image: Tensor, mean_over_patches: bool = False) -> Tensor:
    """d(logits)/d(image) for each image, itself differentiable."""
    with torch.autocast(image.device.type, enabled=False):
        image = precise(image.detach()).requires_grad_(True)
        logits = judge(image).logits
        total = sum((each.flatten(1).mean(1) if mean_over_patches else each.flatten(1).sum(1)).sum() for each in logits)
        (gradient,) = torch.autograd.grad(total, image, create_graph=True)  # type: ignore[arg-type]
    return gradient


def _mean_squared_norm(gradient: Tensor) -> Tensor:
    return gradient.flatten(1).square().sum(1).mean()
