"""UNSB: the laws of its bridge and its losses."""

import math
from functools import partial
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.translation.unsb import UNSB, BridgeStep, bridge_times
from stylegan_lab.networks.discriminators.unsb import UNSBDiscriminator
from stylegan_lab.networks.generators.unsb import UNSBGenerator


def unsb(**settings: Any) -> UNSB:
    torch.manual_seed(0)
    return UNSB(
        partial(UNSBGenerator, channels=4, blocks=2),
        partial(UNSBDiscriminator, channels=4, layers=2),
        AdversarialLoss(LSGANLoss()),
        partial(torch.optim.Adam, lr=2e-4),
        ConstantLR(),
        **({"nce_channels": 8, "nce_patches": 16} | settings),
    ).double()


class Constant(nn.Module):
    """A generator that predicts the same end from everywhere."""

    latent_dim = 1

    def __init__(self, end: float) -> None:
        super().__init__()
        self.end = end

    def forward(self, image: Tensor, step: int, latent: Tensor) -> Tensor:
        return torch.full_like(image, self.end)


def images(seed: int, count: int = 2) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)).double() * 2 - 1


@pytest.mark.parametrize("steps", [2, 5, 10])
def test_the_times_are_those_of_the_reference(steps: int) -> None:
    times = numpy.cumsum([0, *(1 / (index + 1) for index in range(steps - 1))])
    times = times / times[-1]
    expected = [0, *(0.5 * times[-1] + 0.5 * times)]
    assert bridge_times(steps) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("step", range(5))
def test_a_chain_whose_end_is_known_is_a_brownian_bridge(step: int) -> None:
    """With a fixed end y, x_t is normal with mean (1 - t) x_0 + t y and variance tau t (1 - t)."""
    module = unsb(tau=0.3)
    module.generator = Constant(0.5)
    start = torch.full((1, 1, 400, 500), -0.25).double()
    time = module.times[step]
    x = module.simulate(start, step, partial(torch.randn, generator=torch.Generator().manual_seed(0)))
    assert float(x.mean()) == pytest.approx((1 - time) * -0.25 + time * 0.5, abs=2e-3)
    assert float(x.var()) == pytest.approx(0.3 * time * (1 - time), rel=0.01, abs=1e-12)


def test_the_translation_is_the_prediction_at_the_last_step_and_repeats() -> None:
    module = unsb().eval()
    assert torch.equal(module.translate(images(1)), module.translate(images(1)))
    module.generator = Constant(0.5)
    assert torch.equal(module.translate(images(1)), torch.full((2, 3, 16, 16), 0.5).double())


def test_networks_depend_on_the_step_and_the_generator_on_its_latent() -> None:
    module, latents = unsb(), torch.randn(2, 2, 16).double()
    first, second, other = (
        module.generator(images(1), *rest) for rest in ((0, latents[0]), (3, latents[0]), (0, latents[1]))
    )
    assert not torch.allclose(first, second) and not torch.allclose(first, other)
    logits = [module.discriminator(images(1), step).logits[0] for step in (0, 3)]
    assert not torch.allclose(*logits)


def constant_energy(module: UNSB, value: float) -> int:
    """Make the energy network constant. Returns its number of patches on 16 px."""
    last = module.energy.last
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, value)
    return int(module.energy_of(*[torch.zeros(1, 6, 16, 16).double()] * 2, 0).shape[1])


@torch.no_grad()
def test_losses_of_a_constant_energy_are_those_of_the_formulas() -> None:
    module = unsb(sb_weight=3.0, tau=0.2, nce_weight=0)
    patches = constant_energy(module, 0.7)
    noisy, fake, a, b = images(1), images(2), images(3), images(4)
    bridge = BridgeStep(noisy, noisy.flip(0), None, fake, fake.flip(0))
    pair = bridge.pairs()[0]
    energy = module.energy_losses(pair, pair.flip(0), 1).losses
    total = 0.7 + math.log(patches)
    assert [float(energy[name]) for name in ("joint", "independent", "square")] == pytest.approx(
        [-0.7, total, total**2]
    )
    for step in range(5):
        losses = module.generator_losses(a, b, bridge, step).losses
        assert float(losses["transport"]) == pytest.approx(3 * 0.2 * float((noisy - fake).square().mean()))
        assert float(losses["entropy"]) == pytest.approx(3 * 0.2 * (5 - step) / 5 * math.log(patches))


def test_energy_losses_of_one_image_are_those_of_the_reference() -> None:
    module = unsb()
    one, two = torch.cat([images(1, 1), images(2, 1)], dim=1), torch.cat([images(3, 1), images(4, 1)], dim=1)

    def energy(x: Tensor, y: Tensor) -> Tensor:
        return module.energy(torch.cat([x, y], dim=1), 2).logits[0]

    temp = torch.logsumexp(energy(one, two).reshape(-1), dim=0).mean()
    expected = -energy(one, one).mean() + temp + temp**2
    assert torch.allclose(module.energy_losses(one, two, 2).total(), expected, rtol=1e-6)


@torch.no_grad()
def test_an_unchanged_image_has_no_transport_cost_and_the_lowest_nce() -> None:
    module = unsb(tau=1.0)
    a = images(1)
    losses = module.generator_losses(a, a, BridgeStep(a, a, None, a, a), 0).losses
    assert float(losses["transport"]) == 0
    assert float(module.nce(a, a)) < float(module.nce(a, images(2)))
