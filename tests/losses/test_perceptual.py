"""Style and content losses beside closed forms."""

from functools import partial
from pathlib import Path

import pytest
import torch

from stylegan_lab.losses.lpips import LPIPSLoss
from stylegan_lab.losses.perceptual import (
    PerceptualLoss,
    channel_moments,
    gram_distance,
    gram_matrix,
    moments_distance,
    total_variation,
)
from stylegan_lab.networks.features.feature_net import color_pyramid
from stylegan_lab.networks.features.squeezenet import squeezenet
from stylegan_lab.networks.features.vgg import vgg19
from stylegan_lab.networks.generators.adain_decoder import adaptive_instance_norm
from stylegan_lab.rng import seeded
from tests.networks.test_activation_scale import with_other_scales
from tests.refusals import refused


def test_a_gram_matrix_is_the_products_of_all_channels() -> None:
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    expected = torch.einsum("nchw,ndhw->ncd", maps, maps) / (3 * 4 * 5)
    assert torch.allclose(gram_matrix(maps), expected)


def test_a_gram_matrix_does_not_depend_on_positions() -> None:
    maps = torch.randn(1, 3, 4, 4)
    moved = maps.flatten(2)[..., torch.randperm(16)].reshape(1, 3, 4, 4)
    assert float(gram_distance(maps, moved)) == pytest.approx(0, abs=1e-12)


def test_gram_distance_of_constant_maps_has_a_closed_form() -> None:
    """Constant maps x and y of C channels: every entry is x^2 / C or y^2 / C."""
    one, other = torch.full((1, 4, 3, 3), 2.0), torch.full((1, 4, 3, 3), 1.0)
    assert float(gram_distance(one, other)) == pytest.approx((4 / 4 - 1 / 4) ** 2)


def test_moments_are_torch_s_and_their_distance_is_summed_over_channels() -> None:
    maps = torch.randn(2, 3, 8, 8)
    mean, deviation = channel_moments(maps, epsilon=0)
    assert torch.allclose(mean.flatten(1), maps.mean(dim=(2, 3)))
    assert torch.allclose(deviation.flatten(1), maps.std(dim=(2, 3), unbiased=False))
    assert float(moments_distance(maps + 2, maps)) == pytest.approx(3 * 4, rel=1e-5), "three channels, each 2 apart"


def test_restyled_maps_have_the_statistics_they_were_given() -> None:
    content, style = torch.randn(2, 5, 8, 8), torch.randn(2, 5, 6, 6) * 3 + 1
    mean, deviation = channel_moments(adaptive_instance_norm(content, *channel_moments(style)))
    assert torch.allclose(mean, channel_moments(style)[0], atol=1e-4) and torch.allclose(
        deviation, channel_moments(style)[1], atol=1e-3
    )
    assert torch.allclose(adaptive_instance_norm(content, *channel_moments(content)), content, atol=1e-5), (
        "its own style changes nothing"
    )


def test_total_variation_is_the_sum_of_squared_steps() -> None:
    ramp = torch.arange(4.0).expand(2, 1, 3, 4)
    assert float(total_variation(ramp)) == 3 * 3, "three rows of three steps of 1, a picture"
    assert float(total_variation(torch.full((1, 3, 5, 5), 0.3))) == 0


@pytest.mark.parametrize("statistics", ["gram", "moments"])
def test_the_perceptual_loss_of_an_image_with_itself_is_zero(statistics: str) -> None:
    perception = PerceptualLoss(
        partial(vgg19, width=0.25),
        "random",
        {"relu2_1": 1.0},
        {"relu1_1": 1.0, "relu2_1": 2.0},
        statistics,  # type: ignore[arg-type]
    )
    image, other = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    seen, reference = perception.features(image), perception.target_features(image)
    assert float(perception.content(seen, reference)) == float(perception.style(seen, reference)) == 0
    assert float(perception.content(seen, perception.target_features(other))) > 0
    turned = perception.target_features(image.flip(-1))
    assert float(perception.style(seen, turned)) < 0.05 * float(
        perception.style(seen, perception.target_features(image * 0.5))
    )


def test_layers_are_weighed_and_null_leaves_one_out() -> None:
    image, other = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)

    def style(**layers: float | None) -> float:
        perception = PerceptualLoss(color_pyramid, "none", {"full": 1.0}, layers, "moments")
        return float(perception.style(perception.features(image), perception.target_features(other)))

    assert style(full=2.0, half=3.0) == pytest.approx(2 * style(full=1.0) + 3 * style(half=1.0))
    assert style(full=1.0, half=None, quarter=0) == style(full=1.0)


def test_losses_of_trained_weights_do_not_depend_on_their_scale(tmp_path: Path) -> None:
    torch.save(squeezenet("random").net.state_dict(), tmp_path / "one.pth")
    torch.save(with_other_scales(squeezenet("random").net).state_dict(), tmp_path / "other.pth")
    with seeded(0):
        image, target = (torch.rand(2, 1, 3, 64, 64) * 2 - 1).unbind()
    layers = dict.fromkeys(("relu1", "fire2", "fire4", "fire5", "fire6", "fire7", "fire8"), 1.0)

    def losses(weights: str) -> list[float]:
        perception = PerceptualLoss(squeezenet, weights, {"fire4": 1.0}, {"relu1": 1.0, "fire6": 36.0})
        lpips = LPIPSLoss(squeezenet, weights, "squeeze", layers, {"fire2": 1.0})
        pairs = [(each, each.features(image), each.target_features(target)) for each in (perception, lpips)]
        return [float(loss(*maps)) for each, *maps in pairs for loss in (each.content, each.style)]

    one, other = losses(str(tmp_path / "one.pth")), losses(str(tmp_path / "other.pth"))
    assert one == pytest.approx(other, rel=1e-3)


def test_random_weights_keep_their_scale_and_trained_ones_are_noted(tmp_path: Path) -> None:
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    random = PerceptualLoss(squeezenet, "random", {"fire2": 1.0}, {})
    assert random.notes() == []
    assert torch.equal(random.features(image)["fire2"], squeezenet("random")(image, ["fire2"])["fire2"])
    torch.save(squeezenet("random").net.state_dict(), tmp_path / "weights.pth")
    (note,) = PerceptualLoss(squeezenet, str(tmp_path / "weights.pth"), {"fire2": 1.0}, {"relu1": 1.0}).notes()
    assert "fire2 " in note and "relu1 " in note and "fire4" not in note


def test_unknown_layers_are_named_when_the_loss_is_built() -> None:
    with refused("config.unknown_choice", "features.layers=relu1_1"):
        PerceptualLoss(squeezenet, "random", {"fire2": 1.0}, {"relu1_1": 1.0})
