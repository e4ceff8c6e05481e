"""pix2pix: the critic sees pairs, moves first, and nets are used as they were trained."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import NonSaturating
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.live import live
from stylegan_lab.modules.pix2pix import Pix2Pix
from stylegan_lab.modules.schedules import Constant
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.resnet_translator import ResNetTranslator
from stylegan_lab.nets.unet import UNet
from stylegan_lab.nets.verdict import Verdict
from tests.modules.test_cyclegan_parity import fill, image
from tests.modules.test_module import play


def small(**settings: Any) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2Pix(
        settings.pop("translator", partial(ResNetTranslator, channels=4, blocks=1)),
        settings.pop("critic", partial(PatchCritic, channels=4, layers=2)),
        Contest(NonSaturating()),
        partial(torch.optim.Adam, lr=1e-3),
        Constant(),
        **settings,
    )


def images(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def test_the_critic_sees_each_picture_beside_its_source() -> None:
    seen: list[Tensor] = []

    class Recording(nn.Module):
        def __init__(self, image_channels: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))
            assert image_channels == 6

        def forward(self, image: Tensor) -> Verdict:
            seen.append(image)
            return Verdict((image * self.weight,))

    module, a, b, fake = small(critic=Recording), images(1, 3, 16, 16), images(1, 3, 16, 16), images(1, 3, 16, 16)
    module.critic_terms(a, b, fake)
    assert torch.equal(seen[0], torch.cat([a, b], 1)) and torch.equal(seen[1], torch.cat([a, fake], 1))


def test_the_critic_moves_first(tmp_path: Path) -> None:
    order: list[str] = []

    class Watching(Pix2Pix):
        def descend(self, player: Any, terms: Any, *args: Any) -> Terms:
            order.append(player.name)
            return super().descend(player, terms, *args)

    module = Watching(
        partial(ResNetTranslator, channels=4, blocks=1), partial(PatchCritic, channels=4, layers=2),
        Contest(NonSaturating()), partial(torch.optim.Adam, lr=1e-3), Constant(),
    )  # fmt: skip
    play(module, 2, tmp_path)
    assert order == ["critics", "generators"] * 2


def test_a_perfect_translation_costs_no_pixel_term_and_weight_0_leaves_it_out() -> None:
    b = images(1, 3, 16, 16)
    assert float(small().generator_terms(b, b, b).losses["pixel"]) == 0
    assert float(small().generator_terms(b, b, b + 0.5).losses["pixel"]) == pytest.approx(50)
    assert "pixel" not in small(pixel_weight=0).generator_terms(b, b, b).losses


def test_live_nets_drop_the_same_each_time_whatever_their_neighbours() -> None:
    torch.manual_seed(0)
    net = UNet(channels=4, levels=5, dropout=0.5).eval()
    batch = images(3, 3, 32, 32)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    chance = torch.get_rng_state()
    one = live(net, batch)
    assert torch.equal(one, live(net, batch)) and torch.equal(one[1:2], live(net, batch[1:2]))
    assert not torch.allclose(one, net(batch), atol=1e-3), "something was dropped"
    assert torch.equal(torch.get_rng_state(), chance), "nobody else's chance is touched"
    assert not net.training and not any(layer.training for layer in net.modules())
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items()), "running statistics stand"


def test_nets_can_be_used_with_their_averages_instead() -> None:
    module = small(translator=partial(UNet, channels=4, levels=5), live_at_test=False).eval()
    batch = images(2, 3, 32, 32)
    assert torch.equal(module.translate(batch), module.translator(batch))


REFERENCE = json.loads(Path(__file__).with_name("pix2pix_reference.json").read_text())


@pytest.fixture(scope="module")
def played() -> tuple[Pix2Pix, dict[str, float]]:
    """One step as `training_step` makes it, on the reference's weights and pictures."""
    module = Pix2Pix(
        partial(UNet, channels=4, levels=5, dropout=0.0), partial(PatchCritic, channels=4, layers=2, norm="batch"),
        Contest(NonSaturating(critic_share=0.5)), partial(torch.optim.Adam, lr=2e-4), Constant(),
    ).double()  # fmt: skip
    fill(module.translator, 0), fill(module.critic, 1)
    a, b = image(1.0), image(2.0)
    fake = module.translator(a)
    critic = module.critic_terms(a, b, fake.detach())
    critic.total().backward()
    with module._still([module.critics]):
        terms = module.generator_terms(a, b, fake)
        terms.total().backward()
    losses = terms.losses | {f"critic_{name}": loss for name, loss in critic.losses.items()}
    return module, {name: float(loss.detach()) for name, loss in losses.items()}


def test_losses_are_the_reference_s(played: tuple[Pix2Pix, dict[str, float]]) -> None:
    assert played[1] == pytest.approx(REFERENCE["losses"], rel=1e-9)


@pytest.mark.parametrize("name", ["translator", "critic"])
def test_gradients_are_the_reference_s(played: tuple[Pix2Pix, dict[str, float]], name: str) -> None:
    ours = [(float(p.grad.sum()), float(p.grad.norm())) for p in played[0].get_submodule(name).parameters()]  # type: ignore[union-attr]
    theirs = REFERENCE["gradients"][name]
    assert [norm for _, norm in ours] == pytest.approx([norm for _, norm in theirs], rel=1e-7, abs=1e-10)
    assert [total for total, _ in ours] == pytest.approx([total for total, _ in theirs], rel=1e-6, abs=1e-8)
