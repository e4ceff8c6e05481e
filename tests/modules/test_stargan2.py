"""StarGAN v2: where styles come from, who moves in which turn, and a diversity that no resume resets."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.images.batch import Domains
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import NonSaturating
from stylegan_lab.losses.penalties import R1
from stylegan_lab.losses.terms import Terms
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.player import Player
from stylegan_lab.modules.schedules import Constant
from stylegan_lab.modules.stargan2 import StarGAN2
from stylegan_lab.nets.condition import laid_on
from stylegan_lab.nets.domain_critic import DomainCritic, DomainPatchCritic
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.style_coder import StyleCoder
from stylegan_lab.nets.styled_translator import StyledTranslator

NAMES = ["cat", "dog", "wild"]


def stargan2(**settings: Any) -> StarGAN2:
    torch.manual_seed(0)
    module = StarGAN2(
        partial(StyledTranslator, channels=4, most_channels=8, halvings=2),
        partial(DomainCritic, domains=NAMES, size=16, channels=4, most_channels=8),
        partial(StyleCoder, size=16, latents=4, styles=5, width=8, channels=4, most_channels=8),
        Contest(NonSaturating(), {"r1": R1(1.0)}),
        partial(torch.optim.Adam, lr=1e-3),
        Constant(),
        NAMES, "cat", "dog", **settings,
    )  # fmt: skip
    module.iteration, module.budget = 1, 100
    return module


def batch(source: list[int], target: list[int]) -> Domains:
    torch.manual_seed(1)
    a, b, other = torch.rand(3, len(source), 3, 16, 16) * 2 - 1
    return {"a": a, "b": b, "other": other, "source": torch.tensor(source), "target": torch.tensor(target)}


def test_nets_of_the_paper_have_the_paper_s_sizes() -> None:
    """Of 256 px: 33.89 M, 2.44 M, 20.92 M and 20.85 M parameters for two domains, as the authors' code counts them."""
    coder = StyleCoder(domains=2)
    counts = [
        sum(each.numel() for each in net.parameters())
        for net in (
            StyledTranslator(condition_channels=64),
            coder.mapping,
            coder.encoder,
            DomainCritic(image_channels=5, domains=NAMES[:2]),
        )
    ]
    assert counts == pytest.approx([33.89e6, 2.44e6, 20.92e6, 20.85e6], rel=0.01)


def test_a_style_is_that_of_the_labelled_domain() -> None:
    coder, noise, image = stargan2().coder, torch.randn(2, 4), torch.rand(2, 3, 16, 16)
    for net, given in ((coder.mapping, noise), (coder.encoder, image)):
        first, second = net(given, torch.tensor([0, 2])), net(given, torch.tensor([1, 2]))
        assert not torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_a_critic_has_a_logit_for_each_domain() -> None:
    module, image = stargan2(), torch.rand(1, 3, 16, 16)
    trunk, heads = module.critic.trunk, module.critic.heads  # type: ignore[union-attr]
    every = heads(trunk(image)).flatten()  # type: ignore[operator]
    for number in range(3):
        (logits,) = module.knowing(torch.tensor([number]))(image).logits
        assert torch.equal(logits.flatten(), every[number : number + 1])


def test_a_style_reaches_the_picture_by_scale_and_shift_alone() -> None:
    """A style of zeros is read as the norms' shifts; with weights that read nothing, every style gives one picture."""
    translator = stargan2().translator
    image = torch.rand(1, 3, 16, 16)
    for block in translator.up:  # type: ignore[union-attr]
        for norm in block.norms:  # type: ignore[union-attr]
            torch.nn.init.zeros_(norm.read.weight)  # type: ignore[union-attr]
    pictures = [translator(torch.cat([image, torch.full((1, 5, 16, 16), value)], dim=1)) for value in (0.0, 3.0)]
    assert torch.equal(*pictures)


def test_mapping_and_encoder_move_with_the_first_turn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    module, turns = stargan2(), []

    def descend(player: Any, _: Any, name: str, *__: Any) -> Terms:
        turns.append(([each.name for each in ([player] if isinstance(player, Player) else player)], name))
        return Terms({})

    monkeypatch.setattr(module, "descend", descend)
    monkeypatch.setattr(module, "contest", Contest(NonSaturating()))
    module.training_step(batch([0], [1]), 0)
    assert turns == [
        (["critics"], "drawn"), (["critics"], "seen"),
        (["generators", "mappers", "encoders"], "drawn"), (["generators"], "seen"),
    ]  # fmt: skip


def test_the_mapping_learns_slowly() -> None:
    rates = {player.name: player.optimizer.param_groups[0]["lr"] for player in stargan2().players}
    assert rates["mappers"] == pytest.approx(0.01 * rates["generators"]) and rates["encoders"] == rates["generators"]


def test_diversity_is_a_function_of_the_iteration() -> None:
    module = stargan2(diversity_weight=2.0, diversity_until=0.5)
    seen = []
    for iteration in (1, 26, 51, 100):
        module.iteration = iteration
        seen.append(module.diversity_now())
    assert seen == pytest.approx([2.0, 1.0, 0.0, 0.0])


@torch.no_grad()
def test_terms_are_what_the_paper_says() -> None:
    module, pictures = stargan2(diversity_weight=2.0), batch([0, 1], [1, 2])
    styles = [module.coder.mapping(torch.randn(2, 4), pictures["target"]) for _ in range(2)]
    terms = module.generator_terms("drawn", pictures, lambda: styles[0], lambda: styles[1]).losses
    fake, other = (module.translated(pictures["a"], style) for style in styles)
    back = module.translated(fake, module.coder.encoder(pictures["a"], pictures["source"]))
    (logits,) = module.knowing(pictures["target"])(fake).logits

    def apart(x: Tensor, y: Tensor) -> float:
        return float((x - y).abs().mean())

    assert {name: float(value) for name, value in terms.items()} == pytest.approx({
        "drawn_game": float(torch.nn.functional.softplus(-logits).mean()),
        "drawn_style": apart(module.coder.encoder(fake, pictures["target"]), styles[0]),
        "drawn_diversity": -2 * apart(fake, other),
        "drawn_cycle": apart(back, pictures["a"]),
    }, rel=1e-4)  # fmt: skip


def test_weights_of_0_cost_no_pass() -> None:
    module, pictures = stargan2(style_weight=0.0, diversity_weight=0.0, cycle_weight=0.0), batch([0], [1])
    style = module.coder.mapping(torch.randn(1, 4), pictures["target"])
    monkey: list[int] = []
    module.coder.encoder.register_forward_hook(lambda *_: monkey.append(1))
    terms = module.generator_terms("drawn", pictures, lambda: style, lambda: pytest.fail("no other style is needed"))
    assert terms.losses.keys() == {"drawn_game"} and not monkey


def test_styles_of_noise_are_the_same_each_time_and_differ_by_seed() -> None:
    module, image = stargan2(), torch.rand(2, 3, 16, 16)
    assert torch.equal(module.translate(image, "dog"), module.translate(image, "a2b"))
    usual = module.translate(image, "dog")
    module.style_seed = 1
    assert not torch.equal(usual, module.translate(image, "dog"))


def test_a_reference_of_any_size_gives_its_style_to_all() -> None:
    module, image, reference = stargan2(), torch.rand(2, 3, 16, 16), torch.rand(1, 3, 20, 30)
    after = module.translate_like(image, reference, "wild")
    style = module.coder.encoder(reference, torch.tensor([2]))
    assert torch.allclose(after[1:], module.translated(image[1:], style), atol=1e-5)


def test_references_are_scaled_in_half_precision_too() -> None:
    coder = StyleCoder(domains=1, size=16, channels=2, most_channels=2, width=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert coder.encoder(torch.rand(1, 3, 24, 24).bfloat16(), torch.tensor([0])).shape == (1, 64)


def test_a_critic_of_domains_is_not_shown_other_things_than_labels() -> None:
    with pytest.raises(Mistake, match="has logits for each of 0 domains, and is shown 3 channels beside the picture"):
        DomainCritic(image_channels=6)
    assert DomainCritic(size=16, channels=2, most_channels=2)(torch.rand(2, 3, 16, 16)).logits[0].shape == (2, 1)


def test_a_patch_critic_has_a_map_of_logits_for_each_domain() -> None:
    critic = DomainPatchCritic(image_channels=6, domains=NAMES, channels=4, layers=1)
    image = torch.rand(2, 3, 16, 16)
    every = critic.layers(image)
    assert every.shape[1] == len(NAMES)
    labels = torch.tensor([2, 0])
    (maps,) = critic(laid_on(image, torch.eye(3)[labels])).logits
    assert torch.equal(maps, torch.stack([every[0, 2:], every[1, :1]]))
    plain = DomainPatchCritic(channels=4, layers=1)
    assert [each.shape for each in plain.parameters()] == [each.shape for each in PatchCritic(3, 4, 1).parameters()]


@torch.no_grad()
@pytest.mark.parametrize("apart", [1.0, 3.0])
def test_styles_of_domains_begin_apart(apart: float) -> None:
    """Where they would, but nearer by `apart` to a centre that noise and pictures share."""
    sizes: Any = {"domains": 3, "size": 16, "latents": 4, "styles": 5, "width": 8, "channels": 4, "most_channels": 8}

    def coder(**settings: float) -> StyleCoder:
        torch.manual_seed(0)
        return StyleCoder(**sizes, **settings)

    mixed_up, set_apart, domains = coder(), coder(apart=apart), torch.arange(3)
    centres = torch.stack([own[-1].bias for own in set_apart.mapping.own])  # type: ignore[index]
    assert float(centres.std()) > 0.5 and all(not own[-1].bias.any() for own in mixed_up.mapping.own)  # type: ignore[index]
    noise, pictures = torch.randn(3, 4), torch.rand(3, 3, 16, 16)
    for name, given in (("mapping", noise), ("encoder", pictures)):
        was, now = (getattr(each, name)(given, domains) for each in (mixed_up, set_apart))
        assert torch.allclose(now, centres + was / apart, atol=1e-5), name
    with pytest.raises(Mistake, match="coder.apart=0.5: 0, or 1 and more"):
        coder(apart=0.5)
