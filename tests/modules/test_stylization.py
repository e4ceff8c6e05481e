"""Johnson and AdaIN: what each learns from, what it leaves alone, what it can be asked for."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.losses.perception import Perception
from stylegan_lab.losses.style import moments
from stylegan_lab.modules.adain import AdaIN
from stylegan_lab.modules.johnson import Johnson
from stylegan_lab.modules.schedules import Constant, InverseTime
from stylegan_lab.nets.decoder import Decoder
from stylegan_lab.nets.features.vgg import vgg19
from stylegan_lab.nets.johnson_translator import JohnsonTranslator
from tests.modules.test_module import play

LAYERS = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0}
adam = partial(torch.optim.Adam, lr=1e-3)


def features(statistics: Any = "gram") -> Perception:
    return Perception(partial(vgg19, width=0.25), "random", {"relu3_1": 1.0}, LAYERS, statistics)


def unneeded() -> Perception:
    raise AssertionError("a feature net that nobody needs was built")


class Leaving(nn.Module):
    """A translator that leaves pictures as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> Tensor:
        return self.scale * image


def johnson(**settings: Any) -> Johnson:
    torch.manual_seed(0)
    translator = settings.pop("translator", partial(JohnsonTranslator, channels=4, blocks=1))
    return Johnson(translator, settings.pop("features", features), adam, Constant(), **settings)


def adain(**settings: Any) -> AdaIN:
    torch.manual_seed(0)
    return AdaIN(partial(Decoder, width=0.25), partial(features, "moments"), adam, Constant(), **settings)


def images(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def test_leaving_the_content_alone_costs_no_content_and_being_the_style_no_style() -> None:
    module, content = johnson(translator=Leaving), images(1, 3, 32, 32)
    terms = module.terms(content, content).detached().losses
    assert float(terms["content"]) == float(terms["style"]) == 0
    assert float(module.terms(content, images(1, 3, 32, 32)).detached().losses["style"]) > 0


def test_terms_of_weight_0_are_not_computed() -> None:
    module = johnson(translator=Leaving, features=unneeded, content_weight=0, style_weight=0)
    module.prepare()
    assert module.terms(images(1, 3, 16, 16), images(1, 3, 16, 16)).losses.keys() == {"variation"}
    assert johnson(variation_weight=0, style_weight=0).terms(
        images(1, 3, 32, 32), images(1, 3, 32, 32)
    ).losses.keys() == {"content"}


def test_the_style_picture_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module, style, looks = johnson(content_weight=0), images(1, 3, 32, 32), []
    remember = Perception.remember
    monkeypatch.setattr(Perception, "remember", lambda self, image: looks.append(image) or remember(self, image))
    for _ in range(3):
        module.terms(images(1, 3, 32, 32), style.clone())
    assert len(looks) == 1
    module.terms(images(1, 3, 32, 32), images(1, 3, 32, 32))
    assert len(looks) == 2, "another style is looked at again"


@pytest.mark.parametrize("build", [johnson, adain])
def test_feature_nets_are_no_part_of_the_model(build: Any, tmp_path: Path) -> None:
    module = build()
    play(module, 2, tmp_path)
    assert not [name for name in module.state_dict() if "features" in name or "perception" in name]
    moved = {parameter for player in module.players for parameter in player.parameters()}
    assert set(module.parameters()) == moved


@pytest.mark.parametrize(("form", "sizes"), [("torch", [(64, 64), (72, 100)]), ("tensorflow", [(64, 64), (48, 76)])])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_johnson_s_nets_keep_size_and_stay_near_the_range(form: Any, sizes: list[tuple[int, int]], norm: Any) -> None:
    net = JohnsonTranslator(channels=4, blocks=2, form=form, norm=norm)
    for size in sizes:
        image = net(images(1, 3, *size))
        assert image.shape[-2:] == size and float(image.detach().abs().max()) <= 150 / 127.5


def test_johnson_s_nets_are_as_large_as_published() -> None:
    """1,677,638 numbers: biases before norms do nothing, and are not among the published."""
    net = JohnsonTranslator(form="tensorflow")
    biases = sum(
        layer.bias.numel()
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None
    )
    assert sum(parameter.numel() for parameter in net.parameters()) - biases == 1_677_638


def test_only_the_decoder_learns_and_towards_the_restyled_maps() -> None:
    module = adain()
    content, style = images(2, 3, 32, 32), images(2, 3, 32, 32)
    seen = module.perception.remember(content)
    target = module.deepest(seen)
    terms = module.terms(target, seen)
    terms.total().backward()
    assert all(parameter.grad is not None for parameter in module.decoder.parameters())
    assert {player.name for player in module.players} == {"generators"}
    assert float(module.terms(target, module.perception.remember(style)).losses["content"].detach()) == pytest.approx(
        float(terms.losses["content"].detach())
    ), "content is what was restyled, whatever the style"


def test_strength_0_is_the_content_s_own_style_and_shares_mix() -> None:
    module = adain()
    content, one, other = images(1, 3, 32, 32), images(1, 3, 32, 32), images(1, 3, 32, 32) * 0.3
    own = module.decoder(module.deepest(module.perception.remember(content)))
    assert torch.allclose(module.stylize(content, [one], strength=0.0), own, atol=1e-5)
    assert torch.allclose(module.stylize(content, [content]), own, atol=1e-4)
    assert torch.allclose(module.stylize(content, [one, other], [1.0, 0.0]), module.stylize(content, [one]), atol=1e-5)
    assert torch.allclose(module.stylize(content, [one, one]), module.stylize(content, [one]), atol=1e-5)
    assert not torch.allclose(module.stylize(content, [one]), module.stylize(content, [other]), atol=1e-3)


def test_the_usual_style_is_the_mean_of_all_seen(tmp_path: Path) -> None:
    module, seen = adain(), []

    class Watching(AdaIN):
        def follow(self, style: Any) -> None:
            seen.append(torch.stack([statistic.mean(dim=0).flatten() for statistic in moments(self.deepest(style))]))
            super().follow(style)

    module.__class__ = Watching
    play(module, 5, tmp_path)
    assert torch.allclose(module.usual_style, torch.stack(seen).mean(dim=0), atol=1e-5)


def test_adain_s_rate_ends_at_a_ninth() -> None:
    """1 / (1 + 5e-5 * 160,000)."""
    assert InverseTime(8.0)(0.0) == 1 and InverseTime(8.0)(1.0) == pytest.approx(1 / (1 + 5e-5 * 160_000))
