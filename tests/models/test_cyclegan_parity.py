"""One CycleGAN step beside the reference implementation: losses and gradients from equal weights and images."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator

REFERENCE = json.loads(Path(__file__).with_name("cyclegan_reference.json").read_text())
NETS = ("a_to_b", "b_to_a", "discriminator_b", "discriminator_a")  # in the order of the reference's G_A, G_B, D_A, D_B


def fill(net: nn.Module, k: int) -> None:
    for place, parameter in enumerate(net.parameters()):
        i = torch.arange(parameter.numel(), dtype=torch.float64)
        parameter.data = (0.2 * torch.sin(0.7 * i + 1.3 * place + k)).reshape(parameter.shape)


def image(k: float) -> Tensor:
    i = torch.arange(2 * 3 * 32 * 32, dtype=torch.float64)
    return (torch.sin(0.05 * i + k) * torch.cos(0.013 * i * k)).reshape(2, 3, 32, 32)


@pytest.fixture(scope="module")
def step() -> tuple[CycleGAN, dict[str, float]]:
    module = CycleGAN(
        partial(ResNetGenerator, channels=4, blocks=2),
        partial(PatchDiscriminator, channels=4, layers=3),
        AdversarialLoss(LSGANLoss()),
        partial(torch.optim.Adam, lr=2e-4),
        ConstantLR(),
    ).double()
    for k, name in enumerate(NETS):
        fill(module.get_submodule(name), k)
    a, b = image(1.0), image(2.0)
    fake_a, fake_b = module.b_to_a(b), module.a_to_b(a)
    values: dict[str, Tensor] = {}
    for losses in module.generator_losses(a, b):
        losses.total().backward()
        values |= losses.losses
    for name in ("discriminator_a", "discriminator_b"):  # in a step they are frozen until their own losses
        module.get_submodule(name).zero_grad()
    for losses in module.discriminator_losses(a, b, fake_a.detach(), fake_b.detach()):
        losses.total().backward()
        values |= {f"discriminator_{name}": loss for name, loss in losses.losses.items()}
    return module, {name: float(loss.detach()) for name, loss in values.items()}


def test_losses_are_the_reference_s(step: tuple[CycleGAN, dict[str, float]]) -> None:
    assert step[1] == pytest.approx(REFERENCE["losses"], rel=1e-9)


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_the_reference_s(step: tuple[CycleGAN, dict[str, float]], name: str) -> None:
    ours = [(float(p.grad.sum()), float(p.grad.norm())) for p in step[0].get_submodule(name).parameters()]
    theirs = REFERENCE["gradients"][name]
    assert [norm for _, norm in ours] == pytest.approx([norm for _, norm in theirs], rel=1e-8, abs=1e-12)
    assert [total for total, _ in ours] == pytest.approx([total for total, _ in theirs], rel=1e-7, abs=1e-9)
