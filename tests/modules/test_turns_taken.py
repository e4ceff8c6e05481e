"""What a training step hands to each turn: whose pictures, which of them, and told what."""

from typing import Any

import torch
from torch import Tensor, nn

from stylegan_lab.losses.perception import Perception
from stylegan_lab.losses.style import moments
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.player import Player
from stylegan_lab.nets.decoder import restyled
from stylegan_lab.nets.features.colours import colours
from stylegan_lab.nets.verdict import Verdict
from tests.modules.test_cut import cut
from tests.modules.test_multidomain import Tinting, multidomain
from tests.modules.test_perceptual import hybrid
from tests.modules.test_pix2pix import small as pix2pix
from tests.modules.test_stargan2 import batch as domains
from tests.modules.test_stargan2 import stargan2
from tests.modules.test_stylization import adain

Turn = tuple[list[str], tuple[Any, ...]]  # who moves, and with what


def turns_of(module: Module, batch: Any) -> list[Turn]:
    """The turns of a step in which nobody moves."""
    taken: list[Turn] = []

    def descend(player: Any, terms: Any, *given: Any) -> Terms:
        taken.append(([each.name for each in ([player] if isinstance(player, Player) else player)], (terms, *given)))
        return Terms({})

    module.descend = module.descend_critics = descend  # type: ignore[assignment, method-assign]
    module.iteration = module.iteration or 1
    module.training_step(batch, 0)
    return taken


def images(count: int = 1) -> Tensor:
    return torch.rand(count, 3, 32, 32) * 2 - 1


class Watching(nn.Module):
    """A critic that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, image: Tensor) -> Verdict:
        self.shown.append(image)
        return Verdict((image.mean(dim=(1, 2, 3)),))


@torch.no_grad()
def test_pix2pix_s_critic_sees_truth_and_translation_beside_the_source() -> None:
    module, a, b = pix2pix(), images(), images()
    critics, generators = turns_of(module, {"a": a, "b": b})
    assert (critics[0], generators[0]) == (["critics"], ["generators"])
    fake = generators[1][3]
    module.critic = watching = Watching()
    module.critic_terms(*critics[1][1:])
    real_shown, fake_shown = watching.shown
    assert torch.equal(real_shown, torch.cat([a, b], 1)) and torch.equal(fake_shown, torch.cat([a, fake], 1))


@torch.no_grad()
def test_the_hybrid_s_critic_holds_translations_against_the_target_domain() -> None:
    module, a, b = hybrid(content_weight=0.0, style_weight=0.0), images(), images()
    (_, (_, real, fake)), (_, (_, source, target, same)) = turns_of(module, {"a": a, "b": b})
    assert torch.equal(real, b) and torch.equal(fake, module.translator(a)) and torch.equal(fake, same)
    assert torch.equal(source, a) and torch.equal(target, b)


@torch.no_grad()
def test_among_domains_the_critic_is_told_the_target_in_both_turns() -> None:
    module, pictures = multidomain(translator=Tinting, cycle_weight=0.0), domains([0, 1], [2, 0])
    module.critic = watching = Watching()
    module.critic_terms(pictures, pictures["a"])
    module.generator_terms(pictures, pictures["a"])
    for shown in watching.shown:
        assert torch.equal(shown[:, 3:, 0, 0], torch.tensor([[0.0, 0, 1], [1.0, 0, 0]]))


@torch.no_grad()
def test_stargan2_translates_the_source_in_two_styles_from_noise_and_from_references() -> None:
    module, pictures = stargan2(), domains([0], [1])
    turns = turns_of(module, pictures)
    for (_, critic_given), (_, generator_given) in zip(turns[:2], turns[2:], strict=True):
        _, name, _, fake = critic_given
        _, same_name, _, code, other = generator_given
        assert name == same_name
        assert torch.equal(fake, module.translated(pictures["a"], code()))
        assert not torch.equal(code(), other()), "else nothing would be diverse"
    seen, other_seen = turns[3][1][3:]
    assert torch.equal(seen(), module.coder.encoder(pictures["b"], pictures["target"]))
    assert torch.equal(other_seen(), module.coder.encoder(pictures["other"], pictures["target"]))


@torch.no_grad()
def test_cut_looks_for_patches_where_they_were_mirrored_or_not() -> None:
    module, a, b = cut(), images(), images()
    _, (_, (_, real, there, keys, flipped)) = turns_of(module, {"a": a, "b": b})
    assert not flipped and torch.equal(real, b)
    assert torch.allclose(there, module.translator(torch.cat([a, b])), atol=1e-6), "of a first, then of b"
    for key, wanted in zip(keys, module.encoded(torch.cat([a, b])), strict=True):
        assert torch.allclose(key, wanted, atol=1e-6)
    mirrored = cut(flip_equivariance=True, identity_nce=False)
    mirrored.config = {"seed": 0}
    for mirrored.iteration in range(1, 9):
        _, (_, (_, _, there, keys, flipped)) = turns_of(mirrored, {"a": a, "b": b})
        if flipped:
            break
    assert torch.allclose(there, mirrored.translator(a.flip(-1)), atol=1e-6)
    for key, wanted in zip(keys, mirrored.encoded(a), strict=True):
        assert torch.allclose(key, wanted, atol=1e-6), "of the picture that was not mirrored"


@torch.no_grad()
def test_adain_is_to_decode_the_content_in_the_style_s_statistics() -> None:
    module, a, b = adain(), images(), images()
    ((_, (_, target, style)),) = turns_of(module, {"a": a, "b": b})
    content = module.deepest(module.perception.see(a))
    assert torch.allclose(target, restyled(content, *moments(module.deepest(module.perception.see(b)))), atol=1e-5)
    decoded = module.deepest(module.perception.see(module.decoder(target)))
    terms = module.terms(target, style).losses
    assert float(terms["content"]) == torch.nn.functional.mse_loss(decoded, target).item()


def test_content_blind_to_style_does_not_see_other_colours() -> None:
    image = images() * 0.4
    other = image * torch.tensor([0.5, 1.5, 0.8]).view(1, 3, 1, 1) + 0.1
    blind = Perception(colours, "none", {"full": 1.0}, {}, blind_to_style=True)
    seeing = Perception(colours, "none", {"full": 1.0}, {})
    assert float(blind.content(blind.see(image), blind.see(other))) < 1e-3
    assert float(seeing.content(seeing.see(image), seeing.see(other))) > 0.05
    assert float(blind.content(blind.see(image), blind.see(image.flip(-1)))) > 0.5
