"""StarGAN v2: where styles come from, who moves in which turn, and a diversity that no resume resets."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.images.batch import DomainBatch
from stylegan_lab.losses.gan_loss import AdversarialLoss, NonSaturatingLoss
from stylegan_lab.losses.losses import Losses
from stylegan_lab.losses.regularizers import R1
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.player import Player
from stylegan_lab.models.translation.stargan2 import StarGAN2
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.discriminators.stargan2 import MultiDomainPatchDiscriminator, StarGAN2Discriminator
from stylegan_lab.networks.encoders.style_encoder import StyleNetworks
from stylegan_lab.networks.generators.stargan2 import StarGAN2Generator
from stylegan_lab.networks.layers.conditioning import append_condition_maps
from tests.refusals import refused

NAMES = ["cat", "dog", "wild"]


def stargan2(**settings: Any) -> StarGAN2:
    torch.manual_seed(0)
    module = StarGAN2(
        partial(StarGAN2Generator, channels=4, max_channels=8, n_downsample=2),
        partial(StarGAN2Discriminator, domains=NAMES, size=16, channels=4, max_channels=8),
        partial(StyleNetworks, size=16, latent_dim=4, style_dim=5, hidden_dim=8, channels=4, max_channels=8),
        AdversarialLoss(NonSaturatingLoss(), {"r1": R1(1.0)}),
        partial(torch.optim.Adam, lr=1e-3),
        ConstantLR(),
        NAMES, "cat", "dog", **settings,
    )  # fmt: skip
    module.iteration, module.max_iterations = 1, 100
    return module


def batch(source: list[int], target: list[int]) -> DomainBatch:
    torch.manual_seed(1)
    a, b, other = torch.rand(3, len(source), 3, 16, 16) * 2 - 1
    return {"a": a, "b": b, "other": other, "source": torch.tensor(source), "target": torch.tensor(target)}


def test_nets_of_the_paper_have_the_paper_s_sizes() -> None:
    """Of 256 px: 33.89 M, 2.44 M, 20.92 M and 20.85 M parameters for two domains, as the authors' code counts them."""
    style_encoder = StyleNetworks(domains=2)
    counts = [
        sum(each.numel() for each in net.parameters())
        for net in (
            StarGAN2Generator(condition_channels=64),
            style_encoder.mapping,
            style_encoder.encoder,
            StarGAN2Discriminator(image_channels=5, domains=NAMES[:2]),
        )
    ]
    assert counts == pytest.approx([33.89e6, 2.44e6, 20.92e6, 20.85e6], rel=0.01)


def test_a_style_is_that_of_the_labelled_domain() -> None:
    style_encoder, noise, image = stargan2().style_encoder, torch.randn(2, 4), torch.rand(2, 3, 16, 16)
    for net, given in ((style_encoder.mapping, noise), (style_encoder.encoder, image)):
        first, second = net(given, torch.tensor([0, 2])), net(given, torch.tensor([1, 2]))
        assert not torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_a_discriminator_has_a_logit_for_each_domain() -> None:
    module, image = stargan2(), torch.rand(1, 3, 16, 16)
    trunk, heads = module.discriminator.trunk, module.discriminator.heads  # type: ignore[union-attr]
    every = heads(trunk(image)).flatten()  # type: ignore[operator]
    for number in range(3):
        (logits,) = module.conditioned_discriminator(torch.tensor([number]))(image).logits
        assert torch.equal(logits.flatten(), every[number : number + 1])


def test_a_style_acts_by_scale_and_shift_only() -> None:
    """A style of zeros is read as the norms' shifts; with weights that read nothing, every style gives one picture."""
    generator = stargan2().generator
    image = torch.rand(1, 3, 16, 16)
    for block in generator.decoder:  # type: ignore[union-attr]
        for norm in block.norms:  # type: ignore[union-attr]
            torch.nn.init.zeros_(norm.affine.weight)  # type: ignore[union-attr]
    pictures = [generator(torch.cat([image, torch.full((1, 5, 16, 16), value)], dim=1)) for value in (0.0, 3.0)]
    assert torch.equal(*pictures)


def test_mapping_network_and_encoder_are_updated_in_the_first_step_only(monkeypatch: pytest.MonkeyPatch) -> None:
    module, turns = stargan2(), []

    def optimize(player: Any, _: Any, name: str, *__: Any) -> Losses:
        turns.append(([each.name for each in ([player] if isinstance(player, Player) else player)], name))
        return Losses({})

    monkeypatch.setattr(module, "optimize", optimize)
    monkeypatch.setattr(module, "adversarial_loss", AdversarialLoss(NonSaturatingLoss()))
    module.training_step(batch([0], [1]), 0)
    assert turns == [
        (["discriminators"], "latent"), (["discriminators"], "reference"),
        (["generators", "mapping_networks", "style_encoders"], "latent"), (["generators"], "reference"),
    ]  # fmt: skip


def test_the_mapping_learns_slowly() -> None:
    rates = {player.name: player.optimizer.param_groups[0]["lr"] for player in stargan2().players}
    assert (
        rates["mapping_networks"] == pytest.approx(0.01 * rates["generators"])
        and rates["style_encoders"] == rates["generators"]
    )


def test_diversity_is_a_function_of_the_iteration() -> None:
    module = stargan2(diversity_weight=2.0, diversity_until=0.5)
    seen = []
    for iteration in (1, 26, 51, 100):
        module.iteration = iteration
        seen.append(module.current_diversity_weight())
    assert seen == pytest.approx([2.0, 1.0, 0.0, 0.0])


@torch.no_grad()
def test_terms_are_what_the_paper_says() -> None:
    module, pictures = stargan2(diversity_weight=2.0), batch([0, 1], [1, 2])
    latents = [torch.randn(2, 4) for _ in range(2)]
    styles = [module.style_encoder.mapping(each, pictures["target"]) for each in latents]
    losses = module.generator_losses("latent", pictures, *latents).losses
    fake, other = (module.apply_style(pictures["a"], style) for style in styles)
    back = module.apply_style(fake, module.style_encoder.encoder(pictures["a"], pictures["source"]))
    (logits,) = module.conditioned_discriminator(pictures["target"])(fake).logits

    def mean_distance(x: Tensor, y: Tensor) -> float:
        return float((x - y).abs().mean())

    assert {name: float(value) for name, value in losses.items()} == pytest.approx({
        "latent_gan": float(torch.nn.functional.softplus(-logits).mean()),
        "latent_style": mean_distance(module.style_encoder.encoder(fake, pictures["target"]), styles[0]),
        "latent_diversity": -2 * mean_distance(fake, other),
        "latent_cycle": mean_distance(back, pictures["a"]),
    }, rel=1e-4)  # fmt: skip


def test_weights_of_0_cost_no_pass() -> None:
    module, pictures = stargan2(style_weight=0.0, diversity_weight=0.0, cycle_weight=0.0), batch([0], [1])
    monkey: list[int] = []
    module.style_encoder.encoder.register_forward_hook(lambda *_: monkey.append(1))
    losses = module.generator_losses("latent", pictures, torch.randn(1, 4), pytest.fail)  # type: ignore[arg-type]
    assert losses.losses.keys() == {"latent_gan"} and not monkey


def test_styles_of_noise_are_the_same_each_time_and_differ_by_seed() -> None:
    module, image = stargan2(), torch.rand(2, 3, 16, 16)
    assert torch.equal(module.translate(image, "dog"), module.translate(image, "a2b"))
    usual = module.translate(image, "dog")
    module.style_seed = 1
    assert not torch.equal(usual, module.translate(image, "dog"))


def test_a_reference_of_any_size_gives_its_style_to_all() -> None:
    module, image, reference = stargan2(), torch.rand(2, 3, 16, 16), torch.rand(1, 3, 20, 30)
    after = module.translate_like(image, reference, "wild")
    style = module.style_encoder.encoder(reference, torch.tensor([2]))
    assert torch.allclose(after[1:], module.apply_style(image[1:], style), atol=1e-5)


def test_references_are_scaled_in_half_precision_too() -> None:
    style_encoder = StyleNetworks(domains=1, size=16, channels=2, max_channels=2, hidden_dim=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert style_encoder.encoder(torch.rand(1, 3, 24, 24).bfloat16(), torch.tensor([0])).shape == (1, 64)


def test_a_discriminator_of_domains_is_not_shown_other_things_than_labels() -> None:
    with refused("model.network_mismatch", "0 domains", "3 channels"):
        StarGAN2Discriminator(image_channels=6)
    assert StarGAN2Discriminator(size=16, channels=2, max_channels=2)(torch.rand(2, 3, 16, 16)).logits[0].shape == (
        2,
        1,
    )


def test_a_patch_discriminator_has_a_map_of_logits_for_each_domain() -> None:
    discriminator = MultiDomainPatchDiscriminator(image_channels=6, domains=NAMES, channels=4, layers=1)
    image = torch.rand(2, 3, 16, 16)
    every = discriminator.layers(image)
    assert every.shape[1] == len(NAMES)
    labels = torch.tensor([2, 0])
    (maps,) = discriminator(append_condition_maps(image, torch.eye(3)[labels])).logits
    assert torch.equal(maps, torch.stack([every[0, 2:], every[1, :1]]))
    plain = MultiDomainPatchDiscriminator(channels=4, layers=1)
    assert [each.shape for each in plain.parameters()] == [
        each.shape for each in PatchDiscriminator(3, 4, 1).parameters()
    ]


@torch.no_grad()
@pytest.mark.parametrize("gap", [1.0, 3.0])
def test_style_init_gap_separates_the_styles_of_domains(gap: float) -> None:
    """Their spread is divided by the gap, around a center for each domain that latents and images share."""
    sizes: Any = {
        "domains": 3,
        "size": 16,
        "latent_dim": 4,
        "style_dim": 5,
        "hidden_dim": 8,
        "channels": 4,
        "max_channels": 8,
    }

    def style_encoder(**settings: float) -> StyleNetworks:
        torch.manual_seed(0)
        return StyleNetworks(**sizes, **settings)

    mixed_up, set_apart, domains = style_encoder(), style_encoder(style_init_gap=gap), torch.arange(3)
    centres = torch.stack([own[-1].bias for own in set_apart.mapping.heads])  # type: ignore[index]
    assert float(centres.std()) > 0.5 and all(not own[-1].bias.any() for own in mixed_up.mapping.heads)  # type: ignore[index]
    noise, pictures = torch.randn(3, 4), torch.rand(3, 3, 16, 16)
    for name, given in (("mapping", noise), ("encoder", pictures)):
        was, now = (getattr(each, name)(given, domains) for each in (mixed_up, set_apart))
        assert torch.allclose(now, centres + was / gap, atol=1e-5), name
    with refused("config.out_of_range", "style_encoder.style_init_gap=0.5"):
        style_encoder(style_init_gap=0.5)
