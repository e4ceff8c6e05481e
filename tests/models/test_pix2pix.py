"""pix2pix: the discriminator sees pairs, moves first, and nets are used as they were trained."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from stylegan_lab.losses.gan_loss import AdversarialLoss, NonSaturatingLoss
from stylegan_lab.losses.losses import Losses
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.translation.pix2pix import Pix2Pix
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from stylegan_lab.networks.generators.unet import UNetGenerator
from stylegan_lab.networks.train_mode_inference import apply_in_train_mode
from stylegan_lab.training.experiment import build_module
from tests.models.test_base import train
from tests.models.test_cyclegan_parity import fill, image


def small(**settings: Any) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(
        settings.pop("generator", partial(ResNetGenerator, channels=4, blocks=1)),
        settings.pop("discriminator", partial(PatchDiscriminator, channels=4, layers=2)),
        AdversarialLoss(NonSaturatingLoss()),
        partial(torch.optim.Adam, lr=1e-3),
        ConstantLR(),
        **settings,
    )


def images(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def test_the_discriminator_is_conditioned_on_the_source_image() -> None:
    seen: list[Tensor] = []

    class Recording(nn.Module):
        def __init__(self, image_channels: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))
            assert image_channels == 6

        def forward(self, image: Tensor) -> DiscriminatorOutput:
            seen.append(image)
            return DiscriminatorOutput((image * self.weight,))

    module, a, b, fake = (
        small(discriminator=Recording),
        images(1, 3, 16, 16),
        images(1, 3, 16, 16),
        images(1, 3, 16, 16),
    )
    module.discriminator_losses(a, b, fake)
    assert torch.equal(seen[0], torch.cat([a, b], 1)) and torch.equal(seen[1], torch.cat([a, fake], 1))


def test_the_discriminator_is_updated_first(tmp_path: Path) -> None:
    order: list[str] = []

    class Recording(Pix2Pix):
        def optimize(self, player: Any, losses: Any, *args: Any) -> Losses:
            order.append(player.name)
            return super().optimize(player, losses, *args)

    module = Recording(
        partial(ResNetGenerator, channels=4, blocks=1), partial(PatchDiscriminator, channels=4, layers=2),
        AdversarialLoss(NonSaturatingLoss()), partial(torch.optim.Adam, lr=1e-3), ConstantLR(),
    )  # fmt: skip
    train(module, 2, tmp_path)
    assert order == ["discriminators", "generators"] * 2


def test_a_perfect_translation_costs_no_pixel_term_and_weight_0_leaves_it_out() -> None:
    b = images(1, 3, 16, 16)
    assert float(small().generator_losses(b, b, b).losses["pixel"]) == 0
    assert float(small().generator_losses(b, b, b + 0.5).losses["pixel"]) == pytest.approx(50)
    assert "pixel" not in small(pixel_weight=0).generator_losses(b, b, b).losses


def test_live_nets_drop_the_same_each_time_whatever_their_neighbours() -> None:
    torch.manual_seed(0)
    net = UNetGenerator(channels=4, num_downs=5, dropout=0.5).eval()
    batch = images(3, 3, 32, 32)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    chance = torch.get_rng_state()
    one = apply_in_train_mode(net, batch)
    assert torch.equal(one, apply_in_train_mode(net, batch)) and torch.equal(
        one[1:2], apply_in_train_mode(net, batch[1:2])
    )
    assert not torch.allclose(one, net(batch), atol=1e-3), "something was dropped"
    assert torch.equal(torch.get_rng_state(), chance), "nobody else's chance is touched"
    assert not net.training and not any(layer.training for layer in net.modules())
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items()), "running statistics stand"


def test_nets_can_be_used_with_their_averages_instead() -> None:
    module = small(generator=partial(UNetGenerator, channels=4, num_downs=5), train_mode_at_test=False).eval()
    batch = images(2, 3, 32, 32)
    assert torch.equal(module.translate(batch), module.generator(batch))


REFERENCE = json.loads(Path(__file__).with_name("pix2pix_reference.json").read_text())


@pytest.fixture(scope="module")
def step() -> tuple[Pix2Pix, dict[str, float]]:
    """One step as `training_step` makes it, on the reference's weights and pictures."""
    module = Pix2Pix(
        partial(UNetGenerator, channels=4, num_downs=5, dropout=0.0),
        partial(PatchDiscriminator, channels=4, layers=2, norm="batch"),
        AdversarialLoss(NonSaturatingLoss(d_loss_scale=0.5)), partial(torch.optim.Adam, lr=2e-4), ConstantLR(),
    ).double()  # fmt: skip
    fill(module.generator, 0), fill(module.discriminator, 1)
    a, b = image(1.0), image(2.0)
    fake = module.generator(a)
    discriminator = module.discriminator_losses(a, b, fake.detach())
    discriminator.total().backward()
    module.discriminator.requires_grad_(False)  # as in the generator's turn of a step
    losses = module.generator_losses(a, b, fake)
    losses.total().backward()
    module.discriminator.requires_grad_(True)
    losses = losses.losses | {f"discriminator_{name}": loss for name, loss in discriminator.losses.items()}
    return module, {name: float(loss.detach()) for name, loss in losses.items()}


def test_losses_are_the_reference_s(step: tuple[Pix2Pix, dict[str, float]]) -> None:
    assert step[1] == pytest.approx(REFERENCE["losses"], rel=1e-9)


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_gradients_are_the_reference_s(step: tuple[Pix2Pix, dict[str, float]], name: str) -> None:
    ours = [(float(p.grad.sum()), float(p.grad.norm())) for p in step[0].get_submodule(name).parameters()]  # type: ignore[union-attr]
    theirs = REFERENCE["gradients"][name]
    assert [norm for _, norm in ours] == pytest.approx([norm for _, norm in theirs], rel=1e-7, abs=1e-10)
    assert [total for total, _ in ours] == pytest.approx([total for total, _ in theirs], rel=1e-6, abs=1e-8)


def test_the_config_s_losses_are_the_reference_s_formula(compose_config: Callable[..., DictConfig]) -> None:
    """As pix2pix_model.py states them: half of the discriminator's cross-entropy, and 100 times L1 of images in [-1, 1]."""
    small_networks = ["generator=unet32", "generator.channels=4", "generator.dropout=0", "discriminator.channels=4"]
    module = build_module(compose_config("model=pix2pix", "data.size=32", *small_networks))
    assert isinstance(module, Pix2Pix)
    a, b = images(2, 3, 32, 32), images(2, 3, 32, 32)
    fake = module.generator(a)
    assert fake.abs().max() <= 1

    def cross_entropy(image: Tensor, target: float) -> Tensor:
        logits = module.discriminator(torch.cat([a, image], 1)).logits[0]
        return nn.functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    with torch.no_grad():
        of_discriminator = 0.5 * (cross_entropy(fake, 0) + cross_entropy(b, 1))
        of_generator = cross_entropy(fake, 1) + 100 * nn.functional.l1_loss(fake, b)
        torch.testing.assert_close(module.discriminator_losses(a, b, fake).total(), of_discriminator)
        torch.testing.assert_close(module.generator_losses(a, b, fake).total(), of_generator)
