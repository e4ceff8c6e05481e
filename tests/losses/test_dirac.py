"""The Dirac-GAN (Mescheder et al., 2018): a point plays a linear discriminator for a real point at 0.

Theory says which games find it.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.losses.gan_loss import AdversarialLoss, GANLoss, NonSaturatingLoss, RelativisticLoss, WassersteinLoss
from stylegan_lab.losses.regularizers import R1, R2, GradientPenalty, Regularizer
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput

STEP, STEPS = 0.05, 1000


def distances(gan_loss: GANLoss, start: float = 1.0, **regularizers: Regularizer) -> Tensor:
    """From the equilibrium (0, 0), while point and slope move at once; both begin at `start`."""
    adversarial_loss = AdversarialLoss(gan_loss, regularizers)
    theta, psi = (torch.full((1,), start, dtype=torch.float64, requires_grad=True) for _ in range(2))
    discriminator: Any = lambda image: DiscriminatorOutput((psi * image.flatten(1),))  # noqa: E731
    real = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    seen = []
    for iteration in range(STEPS):
        fake = theta.view(1, 1, 1, 1)
        (slope,) = torch.autograd.grad(
            adversarial_loss.discriminator_loss(discriminator, real, fake, iteration).total(), psi
        )
        (way,) = torch.autograd.grad(adversarial_loss.generator_loss(discriminator, real, fake).total(), theta)
        with torch.no_grad():
            psi -= STEP * slope
            theta -= STEP * way
        seen.append(torch.cat([theta, psi]).norm().detach())
    return torch.stack(seen)


@pytest.mark.parametrize(
    "gan_loss",
    [NonSaturatingLoss(), WassersteinLoss(), RelativisticLoss()],
    ids=lambda gan_loss: type(gan_loss).__name__,
)
def test_without_a_penalty_training_does_not_converge(gan_loss: GANLoss) -> None:
    """Near the equilibrium eigenvalues are imaginary: a circle, and with steps of finite length a slow spiral outwards."""
    start = 1e-3
    assert distances(gan_loss, start).min() > 0.99 * start * 2**0.5


@pytest.mark.parametrize("regularizer", [R1(1.0), R2(1.0)], ids=["R1", "R2"])
@pytest.mark.parametrize(
    "gan_loss",
    [NonSaturatingLoss(), WassersteinLoss(), RelativisticLoss()],
    ids=lambda gan_loss: type(gan_loss).__name__,
)
def test_r1_and_r2_converge(gan_loss: GANLoss, regularizer: Regularizer) -> None:
    assert distances(gan_loss, regularizer=regularizer)[-1] < 1e-2


def test_the_wgan_gp_penalty_does_not_converge() -> None:
    """Its slope is pulled to 1, and the equilibrium has slope 0."""
    assert distances(WassersteinLoss(), regularizer=GradientPenalty(1.0))[-200:].max() > 0.1


def test_the_rate_of_convergence_is_that_of_theory() -> None:
    """Wasserstein with R1 of weight g: eigenvalues -g/2 +- sqrt(g^2/4 - 1), so the distance falls as exp(-g t / 2) for g < 2."""
    seen = distances(WassersteinLoss(), r1=R1(1.0))
    rate = (seen[100] / seen[300]).log() / (200 * STEP)
    assert float(rate) == pytest.approx(0.5 - STEP / 2 * (1 - 0.5), abs=0.03)
