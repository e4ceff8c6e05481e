"""Painting: the picture comes to have the style, content holds it back, and colours can be kept."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.images.colours import with_colours_of
from stylegan_lab.losses.perception import Perception
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.gatys import paint
from stylegan_lab.nets.features.colours import colours
from tests.modules.test_stylization import features


def images() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(1, 3, 32, 32) * 0.8 - 0.4, torch.rand(1, 3, 24, 40) * 2 - 1


@pytest.mark.parametrize("painter", ["lbfgs", "adam"])
def test_the_style_comes_near_and_the_content_stays_nearer_the_more_it_weighs(painter: Any) -> None:
    content, style = images()
    perception = features()
    wanted, before = perception.remember(style), perception.remember(content)

    def painted(content_weight: float) -> tuple[float, float]:
        image = paint(
            content, style, perception, iterations=30, content_weight=content_weight, style_weight=1e4, painter=painter
        )
        seen = perception.remember(image)
        return float(perception.style(seen, wanted)), float(perception.content(seen, before))

    free, held = painted(0.0), painted(1e4)
    assert free[0] < 0.5 * float(perception.style(before, wanted)), "the style has come nearer by half"
    assert held[1] < free[1]


def test_without_style_the_content_is_left_alone_and_found_again_from_noise() -> None:
    content, style = images()
    perception = Perception(colours, "none", {"full": 1.0}, {"full": 1.0}, "moments")
    still = paint(content, style, perception, iterations=5, style_weight=0.0)
    assert torch.allclose(still, content, atol=1e-6)
    found = paint(
        content,
        style,
        perception,
        iterations=40,
        style_weight=0.0,
        content_weight=100.0,
        start=torch.zeros_like(content),
    )
    assert float((found - content).abs().max()) < 0.05


def test_the_colour_moments_of_a_painting_become_the_style_s() -> None:
    """On the picture itself, means and deviations can be met to the last digit."""
    content, style = images()
    perception = Perception(colours, "none", {"full": 1.0}, {"full": 1.0}, "moments")
    image = paint(content, style * 0.5, perception, iterations=60, content_weight=0.0, style_weight=100.0)
    assert torch.allclose(image.mean(dim=(2, 3)), (style * 0.5).mean(dim=(2, 3)), atol=0.01)
    assert torch.allclose(image.std(dim=(2, 3)), (style * 0.5).std(dim=(2, 3)), atol=0.02)


def test_every_iteration_is_watched_and_a_bad_one_is_told() -> None:
    content, style = images()
    seen: list[int] = []
    watch = lambda iteration, image, losses: seen.append(iteration)  # noqa: E731
    paint(content, style, features(), iterations=4, watch=watch)
    assert seen == [1, 2, 3, 4]
    with pytest.raises(Mistake, match="no longer finite at iteration"):
        paint(content, style, features(), iterations=20, rate=1e30)


def test_colours_are_the_source_s_and_lightness_the_picture_s() -> None:
    image, source = images()[0], torch.rand(1, 3, 32, 32) * 0.8 - 0.4
    assert torch.allclose(with_colours_of(image, image), image, atol=1e-5)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    mixed = with_colours_of(image * 0.5, source * 0.5)
    assert torch.allclose((mixed * weights).sum(1), (image * 0.5 * weights).sum(1), atol=1e-4)
    grey = with_colours_of(image, torch.zeros_like(image))
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-3), "a grey source has no colours to give"
