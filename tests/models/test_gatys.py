"""Painting: the picture comes to have the style, content holds it back, and colours can be kept."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.images.color import transfer_color
from stylegan_lab.losses.perceptual import PerceptualLoss
from stylegan_lab.models.stylization.gatys import optimize_image
from stylegan_lab.networks.features.feature_net import color_pyramid
from tests.models.test_stylization import features
from tests.refusals import refused


def images() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(1, 3, 32, 32) * 0.8 - 0.4, torch.rand(1, 3, 24, 40) * 2 - 1


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_style_gets_closer_and_a_content_weight_keeps_the_content(optimizer: Any) -> None:
    content, style = images()
    perceptual_loss = features()
    target, before = perceptual_loss.target_features(style), perceptual_loss.target_features(content)

    def optimized(content_weight: float) -> tuple[float, float]:
        image = optimize_image(
            content,
            style,
            perceptual_loss,
            iterations=30,
            content_weight=content_weight,
            style_weight=1e4,
            optimizer=optimizer,
        )
        seen = perceptual_loss.target_features(image)
        return float(perceptual_loss.style(seen, target)), float(perceptual_loss.content(seen, before))

    free, held = optimized(0.0), optimized(1e4)
    assert free[0] < 0.5 * float(perceptual_loss.style(before, target)), "the style has come nearer by half"
    assert held[1] < free[1]


def test_without_style_weight_the_content_is_reproduced_also_from_noise() -> None:
    content, style = images()
    perceptual_loss = PerceptualLoss(color_pyramid, "none", {"full": 1.0}, {"full": 1.0}, "moments")
    still = optimize_image(content, style, perceptual_loss, iterations=5, style_weight=0.0)
    assert torch.allclose(still, content, atol=1e-6)
    found = optimize_image(
        content,
        style,
        perceptual_loss,
        iterations=40,
        style_weight=0.0,
        content_weight=100.0,
        start=torch.zeros_like(content),
    )
    assert float((found - content).abs().max()) < 0.05


def test_the_color_moments_of_the_result_become_the_style_s() -> None:
    """On the picture itself, means and deviations can be met to the last digit."""
    content, style = images()
    perceptual_loss = PerceptualLoss(color_pyramid, "none", {"full": 1.0}, {"full": 1.0}, "moments")
    image = optimize_image(content, style * 0.5, perceptual_loss, iterations=60, content_weight=0.0, style_weight=100.0)
    assert torch.allclose(image.mean(dim=(2, 3)), (style * 0.5).mean(dim=(2, 3)), atol=0.01)
    assert torch.allclose(image.std(dim=(2, 3)), (style * 0.5).std(dim=(2, 3)), atol=0.02)


def test_every_iteration_is_reported_and_a_diverged_one_is_an_error() -> None:
    content, style = images()
    seen: list[int] = []
    watch = lambda iteration, image, losses: seen.append(iteration)  # noqa: E731
    optimize_image(content, style, features(), iterations=4, on_iteration=watch)
    assert seen == [1, 2, 3, 4]
    ranges: list[float] = []
    image = optimize_image(
        content, style, features(), iterations=1, optimizer="adam", lr=1e-3, start=torch.full_like(content, 3.0),
        on_iteration=lambda _, image, __: ranges.append(float(image.max())),
    )  # fmt: skip
    assert ranges == [1.0] and float(image.max()) == 1, "images are clamped to their range"
    with refused("stylize.not_finite", "--style-weight", "--lr-mult"):
        optimize_image(content, style, features(), iterations=20, lr=1e30)


def test_colors_are_the_source_s_and_lightness_the_image_s() -> None:
    image, source = images()[0], torch.rand(1, 3, 32, 32) * 0.8 - 0.4
    assert torch.allclose(transfer_color(image, image), image, atol=1e-5)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    mixed = transfer_color(image * 0.5, source * 0.5)
    assert torch.allclose((mixed * weights).sum(1), (image * 0.5 * weights).sum(1), atol=1e-4)
    grey = transfer_color(image, torch.zeros_like(image))
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-3), "a grey source has no colours to give"
