"""Penalties beside closed forms: of a linear discriminator the gradient is its weight, everywhere."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss, WassersteinLoss
from stylegan_lab.losses.regularizers import R1, R2, GradientPenalty, Regularizer, WeightClipping
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator

REAL, FAKE = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
WEIGHT = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_(True)


def linear(images: Tensor) -> DiscriminatorOutput:
    return DiscriminatorOutput(((images * WEIGHT).flatten(1).sum(1, keepdim=True),))


def test_r1_and_r2_of_a_linear_discriminator_are_half_its_squared_weight() -> None:
    expected = 7.0 / 2 * WEIGHT.square().sum()
    assert torch.allclose(R1(7.0)(linear, REAL, FAKE), expected)
    assert torch.allclose(R2(7.0)(linear, REAL, FAKE), expected)


def test_gradient_penalty_of_a_linear_discriminator_is_its_norm_s_distance_from_1() -> None:
    assert torch.allclose(GradientPenalty(3.0)(linear, REAL, FAKE), 3.0 * (WEIGHT.norm() - 1).square())


def test_r1_uses_reals_and_r2_fakes() -> None:
    def quadratic(images: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput((images.square().flatten(1).sum(1, keepdim=True) / 2,))

    assert torch.allclose(R1(2.0)(quadratic, REAL, FAKE), REAL.square().flatten(1).sum(1).mean())
    assert torch.allclose(R2(2.0)(quadratic, REAL, FAKE), FAKE.square().flatten(1).sum(1).mean())


def test_gradient_penalty_does_not_shrink_with_the_number_of_patches() -> None:
    """Averaged over a patch discriminator's logits, as if it had one."""

    def patches(images: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput((linear(images).logits[0][:, :, None, None].expand(-1, -1, 5, 5),))

    assert torch.allclose(GradientPenalty()(patches, REAL, FAKE), GradientPenalty()(linear, REAL, FAKE), rtol=1e-4)


@pytest.mark.parametrize("regularizer", [GradientPenalty, R1, R2])
def test_lazy_penalties_weigh_the_same_in_the_long_run(regularizer: type[R1]) -> None:
    lazy = AdversarialLoss(WassersteinLoss(), {"p": regularizer(5.0, every=4)})
    eager = AdversarialLoss(WassersteinLoss(), {"p": regularizer(5.0, every=1)})

    def total(adversarial_loss: AdversarialLoss) -> Tensor:
        taken = [
            adversarial_loss.discriminator_loss(linear, REAL, FAKE, iteration).losses.get("p")
            for iteration in range(1, 9)
        ]
        return torch.stack([each for each in taken if each is not None]).sum()

    assert torch.allclose(total(lazy), total(eager))


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()], ids=["gradient_penalty", "r1", "r2"])
def test_penalties_change_gradients_in_translation_too(regularizer: Regularizer) -> None:
    def discriminator_gradient(adversarial_loss: AdversarialLoss) -> Tensor:
        torch.manual_seed(0)
        module = CycleGAN(
            partial(ResNetGenerator, channels=4, blocks=1),
            partial(PatchDiscriminator, channels=4, layers=2),
            adversarial_loss,
            partial(torch.optim.Adam, lr=1e-3),
            ConstantLR(),
        )
        images = torch.randn(4, 2, 3, 16, 16)
        for losses in module.discriminator_losses(*images):
            losses.total().backward()
        return torch.cat([parameter.grad.flatten() for parameter in module.discriminator_a.parameters()])  # type: ignore[union-attr]

    plain = discriminator_gradient(AdversarialLoss(LSGANLoss()))
    penalised = discriminator_gradient(AdversarialLoss(LSGANLoss(), {"p": regularizer}))
    assert (plain - penalised).abs().max() > 1e-3 * plain.abs().max()


def test_a_penalty_that_is_none_is_left_out() -> None:
    assert not AdversarialLoss(LSGANLoss(), {"r1": None}).regularizers


def test_clipping_keeps_every_weight_within_its_limit() -> None:
    discriminator = nn.Linear(10, 10)
    WeightClipping(0.01)(discriminator)
    assert max(float(weight.detach().abs().max()) for weight in discriminator.parameters()) == pytest.approx(0.01)


def test_clipping_leaves_frozen_weights_alone() -> None:
    discriminator = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 1))
    before = discriminator[0].weight.clone()  # type: ignore[operator]
    WeightClipping(0.01)(discriminator)
    assert torch.equal(discriminator[0].weight, before)  # type: ignore[arg-type]
    assert float(discriminator[1].weight.detach().abs().max()) <= 0.01  # type: ignore[operator]


def test_fixed_n_critic_updates_generators_every_n_iterations() -> None:
    adversarial_loss = AdversarialLoss(WassersteinLoss(), n_critic=5)
    assert [i for i in range(1, 16) if adversarial_loss.is_generator_step(i)] == [5, 10, 15]
