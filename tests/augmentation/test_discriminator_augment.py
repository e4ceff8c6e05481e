"""What discriminators see: changes that keep what they must, reach second derivatives, and grow as strong as it takes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.augmentation.ada import ADA, NUM_TRANSFORMS, ADAPipeline, TransformMatrices, warp
from stylegan_lab.augmentation.diffaugment import DiffAugment, random_color, random_cutout, random_translation
from stylegan_lab.losses.gan_loss import (
    AdversarialLoss,
    HingeLoss,
    LSGANLoss,
    NonSaturatingLoss,
    RelativisticLoss,
    WassersteinLoss,
)
from stylegan_lab.losses.regularizers import R1
from stylegan_lab.networks.discriminators.output import ConditionedDiscriminator, DiscriminatorOutput
from stylegan_lab.training.experiment import build_experiment
from tests.refusals import refused


def random_images(count: int = 4, channels: int = 3, side: int = 8) -> Tensor:
    return (
        torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    )


def rotation_matrix(angle_quarters: int) -> Tensor:
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][angle_quarters]
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)[None]


def test_warping_by_the_identity_changes_nothing() -> None:
    torch.testing.assert_close(warp(random_images(), torch.eye(3).double().repeat(4, 1, 1)), random_images())


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_rotations_move_pixels_without_interpolation(quarters: int) -> None:
    image = random_images(1)
    ways = [torch.rot90(image, times, dims=(2, 3)) for times in (quarters, -quarters)]
    result = warp(image, rotation_matrix(quarters))
    assert any(torch.allclose(result, way) for way in ways)


def test_a_shift_pads_with_the_reflection() -> None:
    image = torch.arange(4.0).double()[None, None, None].expand(1, 1, 4, 4)
    shift = torch.eye(3).double()[None].clone()
    shift[:, 0, 2] = -2  # fetched from two to the left
    assert warp(image, shift)[0, 0, 0].tolist() == [1, 0, 0, 1]


def test_half_a_pixel_is_the_mean_of_two() -> None:
    image = torch.arange(4.0).double()[None, None, None].expand(1, 1, 4, 4)
    shift = torch.eye(3).double()[None].clone()
    shift[:, 0, 2] = 0.5
    assert warp(image, shift)[0, 0, 0, :3].tolist() == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("seen", [DiffAugment(), ADA(ADAPipeline(), initial_p=0.8)])
def test_second_derivatives_pass_through_the_augmentation(seen: Any) -> None:
    """An R1 regularizer under augmentation: its gradient for the discriminator agrees with finite differences."""
    weight = torch.randn(3 * 64, generator=torch.Generator().manual_seed(1)).double().requires_grad_(True)

    def regularizer(weight: Tensor) -> Tensor:
        torch.manual_seed(3)
        adversarial_loss = AdversarialLoss(NonSaturatingLoss(), {"r1": R1(1.0)}, discriminator_augment=seen)

        def discriminator(image: Tensor) -> DiscriminatorOutput:
            return DiscriminatorOutput((torch.tanh(image.flatten(1) * weight).sum(1, keepdim=True),))

        return adversarial_loss.discriminator_loss(discriminator, random_images(2), random_images(2).flip(0), 1).losses[
            "r1"
        ]

    (gradient,) = torch.autograd.grad(regularizer(weight), weight)
    step = torch.zeros_like(weight)
    step[17] = 1e-6
    numeric = (regularizer(weight + step) - regularizer(weight - step)) / 2e-6
    torch.testing.assert_close(gradient[17], numeric, rtol=1e-4, atol=1e-6)


def test_cutout_zeroes_at_most_a_quarter() -> None:
    chance = torch.tensor([[0.5, 0.5], [0.0, 0.0]]).double()
    cut = random_cutout(torch.ones(2, 3, 8, 8).double(), chance)
    assert (cut == 0).sum(dim=(1, 2, 3)).tolist() == [3 * 16, 3 * 4]
    assert set(cut.unique().tolist()) == {0.0, 1.0}


def test_translation_pads_with_zeros_and_is_the_identity_at_one_half() -> None:
    image = random_images(1)
    torch.testing.assert_close(random_translation(image, torch.tensor([[0.5, 0.5]]).double()), image)
    moved = random_translation(image, torch.tensor([[0.99, 0.5]]).double())
    torch.testing.assert_close(moved[:, :, 1:], image[:, :, :-1])
    assert not moved[:, :, 0].any()


def test_color_is_the_identity_at_one_half() -> None:
    torch.testing.assert_close(random_color(random_images(), torch.full((4, 3), 0.5).double()), random_images())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels(channels: int) -> None:
    image = random_images(channels=channels)
    for seen in (DiffAugment(), ADA(ADAPipeline(), initial_p=1.0)):
        assert seen.sample_transform(image)(image).shape == image.shape


def test_with_probability_0_nothing_is_changed() -> None:
    image = random_images()
    assert ADA(ADAPipeline()).sample_transform(image)(image) is image


def test_a_higher_probability_changes_more_images() -> None:
    image = random_images(400, side=4)
    changed = []
    for strength in (0.05, 0.5):
        torch.manual_seed(0)
        change = ADAPipeline(blit=False, color=False).sample_transform(image, torch.tensor(strength))(image)
        changed.append(float((change - image).abs().flatten(1).amax(1).gt(1e-9).double().mean()))
    assert changed[0] == pytest.approx(
        1 - 0.95**4, abs=0.06
    )  # scale, stretch, shift, and turns twice at half the odds each
    assert changed[1] == pytest.approx(1 - 0.5**4, abs=0.06)


def test_hue_and_saturation_keep_gray() -> None:
    grey = torch.full((50, 3, 2, 2), 0.25).double()
    torch.manual_seed(0)
    seen = ADAPipeline(blit=False, geometry=False).sample_transform(grey, torch.tensor(1.0))(grey)
    torch.testing.assert_close(seen.std(dim=1), torch.zeros(50, 2, 2).double(), atol=1e-6, rtol=0)


def test_reals_fakes_and_their_conditions_get_the_same_transform() -> None:
    """A paired discriminator's two pictures meet the same change."""
    given, image = random_images(4, 1), random_images(4, 1)
    met: list[Tensor] = []

    def discriminator(both: Tensor) -> DiscriminatorOutput:
        met.append(both)
        return DiscriminatorOutput((both.mean(dim=(1, 2, 3))[:, None],))

    adversarial_loss = AdversarialLoss(HingeLoss(), discriminator_augment=ADA(ADAPipeline(), initial_p=1.0))
    adversarial_loss.discriminator_loss(ConditionedDiscriminator(discriminator, given), image, image.clone(), 1)
    assert len(met) == 2
    for both in met:
        torch.testing.assert_close(both[:, :1], both[:, 1:])
        assert not torch.allclose(both[:, 1:], image)


@pytest.mark.parametrize(("sure", "then"), [(1.0, 0.5), (-1.0, 0.1), (0.6, 0.3)])
def test_p_rises_above_the_target_and_falls_below_it(sure: float, then: float) -> None:
    seen = ADA(ADAPipeline(), target=0.6, update_every=4, adjust_images=1000, initial_p=0.3)
    for _ in range(4):
        seen.update(torch.tensor(sure), 50)
    assert seen.p == pytest.approx(then)


def test_p_never_falls_below_0() -> None:
    seen = ADA(ADAPipeline(), update_every=1, adjust_images=10)
    seen.update(torch.tensor(-1.0), 100)
    assert seen.p == 0.0


def test_the_state_is_saved_between_two_updates_of_p() -> None:
    one = ADA(ADAPipeline(), update_every=3, adjust_images=100)
    one.update(torch.tensor(1.0), 10)
    other = ADA(ADAPipeline(), update_every=3, adjust_images=100)
    other.load_state_dict(one.state_dict())
    for each in (one, other):
        each.update(torch.tensor(1.0), 10)
        each.update(torch.tensor(1.0), 10)
    assert one.p == other.p == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("gan_loss", "real", "fake", "sure"),
    [
        (NonSaturatingLoss(), [1.0, -1.0, 2.0, 3.0], [0.0] * 4, 0.5),
        (LSGANLoss(), [0.4, 0.6, 0.7, 0.9], [0.0] * 4, 0.5),
        (RelativisticLoss(), [1.0, 2.0], [3.0, -3.0], 0.0),
    ],
)
def test_real_sign_is_the_mean_sign_of_real_logits(
    gan_loss: Any, real: list[float], fake: list[float], sure: float
) -> None:
    assert float(
        gan_loss.real_sign({"logits_real": torch.tensor(real), "logits_fake": torch.tensor(fake)})
    ) == pytest.approx(sure)


def test_ada_refuses_a_loss_without_a_decision_boundary() -> None:
    with refused("loss.ada_unsupported", "discriminator_augment=ada", "discriminator_augment=diffaugment"):
        AdversarialLoss(WassersteinLoss(), discriminator_augment=ADA(ADAPipeline()))


def test_p_is_in_the_checkpoint(compose_config: Callable[..., DictConfig]) -> None:
    module: Any = build_experiment(
        compose_config("experiment=smoke_generation", "model=dcgan", "discriminator_augment=ada"), {}
    ).module
    module.adversarial_loss.discriminator_augment.p = 0.25
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    module.adversarial_loss.discriminator_augment.p = 0.0
    module.on_load_checkpoint(checkpoint)
    assert module.adversarial_loss.discriminator_augment.p == 0.25


def test_transforms_are_drawn_independently() -> None:
    """Where a picture goes says nothing of how bright it becomes."""
    count = 600
    dice = torch.Generator().manual_seed(0)
    gate, even = torch.zeros(count, NUM_TRANSFORMS), torch.rand(count, NUM_TRANSFORMS, generator=dice)
    places = TransformMatrices(gate, even, torch.randn(count, NUM_TRANSFORMS, generator=dice), torch.tensor(1.0))
    where, colours = places.geometry(8, 8, False, True), places.color(1)
    for shift in (where[:, 0, 2], where[:, 1, 2]):
        for change in (colours[:, 0, 1], colours[:, 0, 0]):
            assert abs(float(torch.corrcoef(torch.stack([shift, change]))[0, 1])) < 0.2


def test_half_precision_does_not_change_positions() -> None:
    image = random_images(4, side=64).float()
    seen = ADA(ADAPipeline(color=False), initial_p=1.0)
    torch.manual_seed(0)
    exact = seen.sample_transform(image)(image)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        half = seen.sample_transform(image.bfloat16())(image.bfloat16())
    assert float((half - exact).std() / exact.std()) < 0.05
