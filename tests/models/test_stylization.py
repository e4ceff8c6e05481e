"""Johnson and AdaIN: their losses, mean style, and stylization with several styles."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.losses.perceptual import PerceptualLoss, channel_moments
from stylegan_lab.models.lr_schedules import ConstantLR, InverseTimeLR
from stylegan_lab.models.stylization.adain import AdaIN
from stylegan_lab.models.stylization.johnson import Johnson
from stylegan_lab.networks.features.vgg import vgg19
from stylegan_lab.networks.generators.adain_decoder import AdaINDecoder, adaptive_instance_norm
from stylegan_lab.networks.generators.johnson import JohnsonGenerator
from tests.models.test_base import train

LAYERS = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}
adam = partial(torch.optim.Adam, lr=1e-3)


def features(statistics: Any = "gram") -> PerceptualLoss:
    return PerceptualLoss(partial(vgg19, width=0.25), "random", {"relu3_1": 1.0}, LAYERS, statistics)


def must_not_be_built() -> PerceptualLoss:
    raise AssertionError("a feature net that nobody needs was built")


class IdentityGenerator(nn.Module):
    """A generator that leaves pictures as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        return self.scale * image


def johnson(**settings: Any) -> Johnson:
    torch.manual_seed(0)
    generator = settings.pop("generator", partial(JohnsonGenerator, channels=4, blocks=1))
    return Johnson(generator, settings.pop("features", features), adam, ConstantLR(), **settings)


def adain(**settings: Any) -> AdaIN:
    torch.manual_seed(0)
    return AdaIN(partial(AdaINDecoder, width=0.25), partial(features, "moments"), adam, ConstantLR(), **settings)


def images(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def test_the_content_image_has_no_content_loss_and_the_style_image_no_style_loss() -> None:
    module, content = johnson(generator=IdentityGenerator), images(1, 3, 32, 32)
    losses = module.losses(content, content).detached().losses
    module._style_features = None
    assert float(losses["content"]) == float(losses["style"]) == 0
    assert float(module.losses(content, images(1, 3, 32, 32)).detached().losses["style"]) > 0


def test_losses_of_weight_0_are_not_computed() -> None:
    module = johnson(generator=IdentityGenerator, features=must_not_be_built, content_weight=0, style_weight=0)
    module.load_feature_networks()
    assert module.losses(images(1, 3, 16, 16), images(1, 3, 16, 16)).losses.keys() == {"tv"}
    assert johnson(tv_weight=0, style_weight=0).losses(images(1, 3, 32, 32), images(1, 3, 32, 32)).losses.keys() == {
        "content"
    }


def test_features_of_the_style_image_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module, style, looks = johnson(content_weight=0), images(1, 3, 32, 32), []
    target_features = PerceptualLoss.target_features
    monkeypatch.setattr(
        PerceptualLoss, "target_features", lambda self, image: looks.append(image) or target_features(self, image)
    )
    for _ in range(3):
        module.losses(images(1, 3, 32, 32), style.clone())
    assert len(looks) == 1


def test_another_training_may_have_another_style_image(tmp_path: Path) -> None:
    module = johnson(content_weight=0)
    train(module, 1, tmp_path)
    first = module.style_features(images(1, 3, 16, 16))
    train(module, 2, tmp_path)
    assert not torch.equal(first["relu1_1"], module.style_features(images(1, 3, 16, 16))["relu1_1"])


@pytest.mark.parametrize("build", [johnson, adain])
def test_feature_nets_are_no_part_of_the_model(build: Any, tmp_path: Path) -> None:
    module = build()
    train(module, 2, tmp_path)
    assert not [name for name in module.state_dict() if "features" in name or "perception" in name]
    moved = {parameter for player in module.players for parameter in player.parameters()}
    assert set(module.parameters()) == moved


@pytest.mark.parametrize(
    ("implementation", "sizes"), [("torch", [(64, 64), (72, 100)]), ("tensorflow", [(64, 64), (48, 76)])]
)
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_johnson_s_nets_keep_size_and_stay_near_the_range(
    implementation: Any, sizes: list[tuple[int, int]], norm: Any
) -> None:
    net = JohnsonGenerator(channels=4, blocks=2, implementation=implementation, norm=norm)
    for size in sizes:
        image = net(images(1, 3, *size))
        assert image.shape[-2:] == size and float(image.detach().abs().max()) <= 150 / 127.5


def test_johnson_s_nets_are_as_large_as_published() -> None:
    """1,677,638 numbers: biases before norms do nothing, and are not among the published."""
    net = JohnsonGenerator(implementation="tensorflow")
    biases = sum(
        layer.bias.numel()
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None
    )
    assert sum(parameter.numel() for parameter in net.parameters()) - biases == 1_677_638


def test_only_the_decoder_learns_and_towards_the_restyled_maps() -> None:
    module = adain()
    content, style = images(2, 3, 32, 32), images(2, 3, 32, 32)
    losses = module.losses(content, style)
    losses.total().backward()
    assert all(parameter.grad is not None for parameter in module.generator.parameters())
    assert {player.name for player in module.players} == {"generators"}
    target = adaptive_instance_norm(module.encode(content), *channel_moments(module.encode(style)))
    decoded = module.encode(module.generator(target))
    expected = torch.nn.functional.mse_loss(decoded, target)
    assert float(losses.losses["content"].detach()) == pytest.approx(float(expected))


def test_strength_0_keeps_the_content_s_style_and_weights_mix_styles() -> None:
    module = adain()
    content, one, other = images(1, 3, 32, 32), images(1, 3, 32, 32), images(1, 3, 32, 32) * 0.3
    own = module.generator(module.deepest_layer(module.perceptual_loss.target_features(content)))
    assert torch.allclose(module.stylize(content, [one], strength=0.0), own, atol=1e-5)
    assert torch.allclose(module.stylize(content, [content]), own, atol=1e-4)
    assert torch.allclose(module.stylize(content, [one, other], [1.0, 0.0]), module.stylize(content, [one]), atol=1e-5)
    assert torch.allclose(module.stylize(content, [one, one]), module.stylize(content, [one]), atol=1e-5)
    assert not torch.allclose(module.stylize(content, [one]), module.stylize(content, [other]), atol=1e-3)


def test_the_mean_style_is_the_mean_over_training_styles(tmp_path: Path) -> None:
    module, seen = adain(), []

    class Recording(AdaIN):
        def update_mean_style(self, moments: Tensor) -> None:
            seen.append(moments.mean(dim=0))
            super().update_mean_style(moments)

    module.__class__ = Recording
    train(module, 5, tmp_path)
    assert torch.allclose(module.mean_style, torch.stack(seen).mean(dim=0), atol=1e-5)


def test_adain_s_rate_ends_at_a_ninth() -> None:
    """1 / (1 + 5e-5 * 160,000)."""
    assert InverseTimeLR(8.0)(0.0) == 1 and InverseTimeLR(8.0)(1.0) == pytest.approx(1 / (1 + 5e-5 * 160_000))


def test_adain_stylizes_in_half_precision() -> None:
    module, image = adain().eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = module.translate(image)
    exact = module.translate(image).detach()
    assert float((half - exact).std() / exact.std()) < 0.1
