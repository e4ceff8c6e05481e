"""Each gan_loss's losses and gradients beside their closed forms."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.losses.gan_loss import (
    AdversarialLoss,
    GANLoss,
    HingeLoss,
    LSGANLoss,
    NonSaturatingLoss,
    RelativisticLoss,
    WassersteinLoss,
)
from stylegan_lab.losses.losses import Losses
from stylegan_lab.losses.regularizers import R1
from stylegan_lab.networks.discriminators.output import Discriminator, DiscriminatorOutput
from tests.refusals import refused


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def discriminator(images: Tensor) -> DiscriminatorOutput:
    """Says of an image what it is: its own values are the logits."""
    return DiscriminatorOutput((images,))


# For one real logit r and one fake logit f: the discriminator's loss and its slopes in r and f; the generator's and its slope in f.
R, F = 0.3, -0.6
CLOSED_FORMS = {
    "lsgan": (LSGANLoss(), ((R - 1) ** 2 + F**2) / 2, R - 1, F, (F - 1) ** 2, 2 * (F - 1)),
    "nonsaturating": (
        NonSaturatingLoss(),
        softplus(-R) + softplus(F),
        -sigmoid(-R),
        sigmoid(F),
        softplus(-F),
        -sigmoid(-F),
    ),
    "hinge": (HingeLoss(), (1 - R) + (1 + F), -1.0, 1.0, -F, -1.0),
    "wasserstein": (WassersteinLoss(), F - R, -1.0, 1.0, -F, -1.0),
    "relativistic": (
        RelativisticLoss(),
        softplus(F - R),
        -sigmoid(F - R),
        sigmoid(F - R),
        softplus(R - F),
        -sigmoid(R - F),
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_values_and_gradients_are_the_closed_forms(name: str) -> None:
    gan_loss, d_loss, slope_real, slope_fake, g_loss, slope_generated = CLOSED_FORMS[name]
    real, fake = torch.full((1, 1, 1, 1), R, requires_grad=True), torch.full((1, 1, 1, 1), F, requires_grad=True)
    loss = gan_loss.discriminator_loss(discriminator, real, fake).total()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(d_loss, rel=1e-6)
    assert (float(real.grad), float(fake.grad)) == pytest.approx((slope_real, slope_fake), rel=1e-6)  # type: ignore[arg-type]
    fake.grad = None
    loss = gan_loss.generator_loss(discriminator, real.detach(), fake).total()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(g_loss, rel=1e-6)
    assert float(fake.grad) == pytest.approx(slope_generated, rel=1e-6)  # type: ignore[arg-type]


def test_the_overfitting_heuristic_is_the_mean_sign_of_real_logits() -> None:
    """ADA's r_t (Karras et al., 2020). LSGAN separates reals from fakes at 0.5; a relativistic loss compares pairs."""
    stats = {"logits_real": torch.tensor([0.2, 0.6, 0.7, -1.0]), "logits_fake": torch.tensor([0.1, 0.0, 0.0, 0.0])}
    found = {
        type(loss).__name__: float(loss.real_sign(stats)) for loss in (HingeLoss(), LSGANLoss(), RelativisticLoss())
    }
    assert found == {"HingeLoss": 0.5, "LSGANLoss": 0.0, "RelativisticLoss": 0.5}
    pairs = {"logits_real": torch.tensor([0.2, 0.6]), "logits_fake": torch.tensor([0.3, 0.7])}
    assert float(RelativisticLoss().real_sign(pairs)) == -1 and float(HingeLoss().real_sign(pairs)) == 1


def test_second_derivatives_are_needed_if_a_regularizer_needs_them_or_does_not_say() -> None:
    def loss(**regularizers: Any) -> AdversarialLoss:
        return AdversarialLoss(HingeLoss(), regularizers=regularizers)

    class FirstOrder:
        every, needs_double_backward = 1, False

    class Unknown:
        every = 1

    assert not loss().needs_double_backward
    assert not loss(first=FirstOrder()).needs_double_backward
    assert loss(first=FirstOrder(), unknown=Unknown()).needs_double_backward
    assert loss(gradient=R1()).needs_double_backward


def test_the_hinge_loss_is_zero_beyond_the_margin() -> None:
    real, fake = torch.full((1, 1), 1.5, requires_grad=True), torch.full((1, 1), -1.5, requires_grad=True)
    loss = HingeLoss().discriminator_loss(discriminator, real, fake).total()
    loss.backward()
    assert float(loss.detach()) == 0 and not real.grad.any() and not fake.grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("gan_loss", [each[0] for each in CLOSED_FORMS.values()], ids=list(CLOSED_FORMS))
def test_patches_are_averaged_and_scales_are_added(gan_loss: GANLoss) -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    once = gan_loss.discriminator_loss(discriminator, real, fake).total()
    tiled = gan_loss.discriminator_loss(discriminator, real.repeat(1, 1, 3, 3), fake.repeat(1, 1, 3, 3)).total()
    twice = gan_loss.discriminator_loss(lambda images: DiscriminatorOutput((images, images)), real, fake).total()
    assert torch.allclose(once, tiled, atol=1e-6)
    assert torch.allclose(2 * once, twice, atol=1e-6)


@pytest.mark.parametrize("gan_loss", [each[0] for each in CLOSED_FORMS.values()], ids=list(CLOSED_FORMS))
def test_the_generator_s_loss_is_lower_for_higher_logits(gan_loss: GANLoss) -> None:
    real = torch.zeros(1, 1)
    assert (
        gan_loss.generator_loss(discriminator, real, torch.full((1, 1), 0.5)).total()
        < gan_loss.generator_loss(discriminator, real, -torch.ones(1, 1)).total()
    )


def test_losses_of_half_precision_logits_are_computed_in_float32() -> None:
    logits = torch.full((1, 1), 0.1, dtype=torch.bfloat16)
    assert LSGANLoss().generator_loss(discriminator, logits, logits).total().dtype == torch.float32


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_a_tensor_counts_as_the_output_of_a_discriminator(name: str) -> None:
    gan_loss, real, fake = CLOSED_FORMS[name][0], torch.full((2, 1, 1, 1), R), torch.full((2, 1, 1, 1), F)
    for loss in (gan_loss.discriminator_loss, gan_loss.generator_loss):
        plain, wrapped = loss(lambda images: images, real, fake), loss(discriminator, real, fake)
        for one, other in ((plain.losses, wrapped.losses), (plain.stats, wrapped.stats)):
            assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_discriminator_that_returns_something_else_is_refused() -> None:
    with refused("network.wrong_output", "list"):
        LSGANLoss().generator_loss(lambda images: [images], torch.ones(1), torch.ones(1))  # type: ignore[arg-type, return-value]


def test_losses_of_the_user_s_get_a_discriminator_output() -> None:
    class Mean:
        def generator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
            output = discriminator(fake)
            assert isinstance(output, DiscriminatorOutput)
            return Losses({"gan": output.logits[0].mean()})

        discriminator_loss = generator_loss

    losses = AdversarialLoss(Mean()).generator_loss(lambda images: images, torch.ones(1), torch.full((1,), 3.0))
    assert float(losses.losses["gan"]) == 3
