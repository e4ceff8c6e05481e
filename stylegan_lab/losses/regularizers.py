"""Discriminator regularizers (gradient penalties, drift) and weight constraints, which are applied after each step.

Every regularizer may be lazy: it is computed every `every` iterations, with its weight scaled up to match. Gradient penalties are
computed in float32, whatever the precision of the training. They use the gradient of the sum of an image's logits with respect to
that image, so the gradient does not depend on the size of the batch, and is not divided by the size of the logit map.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from stylegan_lab.networks.discriminators.output import Discriminator, discriminate
from stylegan_lab.precision import to_float32
from stylegan_lab.rng import rand


class Regularizer(Protocol):
    every: int

    def __call__(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor: ...


class GradientPenalty:
    """WGAN-GP (Gulrajani et al., 2017): penalizes gradient norms that differ from 1, at a random point between a real and a
    generated image.

    A patch discriminator's logits are averaged, so that the penalty does not depend on the size of the image.
    """

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
        mix = rand(len(real), 1, 1, 1, device=real.device).to(to_float32(real))
        between = to_float32(real) * mix + to_float32(fake) * (1 - mix)
        norm = input_gradient(discriminator, between, mean_over_patches=True).flatten(1).norm(dim=1)
        return self.weight * self.every * (norm - 1).square().mean()


class R1:
    """Mescheder et al. (2018): the squared gradient norm on real images, multiplied by `weight` / 2."""

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight * self.every / 2 * _mean_squared_norm(input_gradient(discriminator, real))


class R2:
    """Mescheder et al. (2018): the squared gradient norm on generated images, multiplied by `weight` / 2."""

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight * self.every / 2 * _mean_squared_norm(input_gradient(discriminator, fake))


class DriftPenalty:
    """ProGAN (Karras et al., 2018): keeps the logits of real images near 0. A Wasserstein loss alone would let them drift away."""

    needs_double_backward = False

    def __init__(self, weight: float = 1e-3, every: int = 1) -> None:
        self.weight, self.every = weight, every

    def __call__(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Tensor:
        squares = [to_float32(logits).square().mean() for logits in discriminate(discriminator, real).logits]
        return self.weight * self.every * torch.stack(squares).sum()


def input_gradient(discriminator: Discriminator, image: Tensor, mean_over_patches: bool = False) -> Tensor:
    """Return the gradient of the logits with respect to each image. The gradient itself is differentiable."""
    with torch.autocast(image.device.type, enabled=False):
        image = to_float32(image.detach()).requires_grad_(True)
        logits = discriminate(discriminator, image).logits
        total = sum((each.flatten(1).mean(1) if mean_over_patches else each.flatten(1).sum(1)).sum() for each in logits)
        (gradient,) = torch.autograd.grad(total, image, create_graph=True)  # type: ignore[arg-type]
    return gradient


def _mean_squared_norm(gradient: Tensor) -> Tensor:
    return gradient.flatten(1).square().sum(1).mean()


class WeightConstraint(Protocol):
    def __call__(self, discriminator: nn.Module) -> None: ...


class WeightClipping:
    """WGAN (Arjovsky et al., 2017): clips every trainable weight to [-clip_value, clip_value]."""

    def __init__(self, clip_value: float = 0.01) -> None:
        self.clip_value = clip_value

    @torch.no_grad()
    def __call__(self, discriminator: nn.Module) -> None:
        for weight in discriminator.parameters():
            if weight.requires_grad:
                weight.clamp_(-self.clip_value, self.clip_value)
