"""Micro-batches: how arguments are split and merged, how often a training step runs, and what it passes to each loss function."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import collate
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.losses.perceptual import PerceptualLoss
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.micro_batches import merge, micro_batch, num_micro_batches
from stylegan_lab.models.player import Player
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.features.feature_net import color_pyramid
from tests.models.test_base import small as cyclegan
from tests.models.test_base import train
from tests.models.test_cut import cut
from tests.models.test_multidomain import AddDomainIndex, multidomain
from tests.models.test_perceptual import hybrid
from tests.models.test_pix2pix import small as pix2pix
from tests.models.test_stargan2 import batch as domains
from tests.models.test_stargan2 import stargan2
from tests.models.test_unsb import unsb
from tests.refusals import refused

Step = tuple[list[str], tuple[Any, ...]]  # the players, and the loss function with its arguments


def test_parts_have_a_value_for_each_of_their_samples() -> None:
    samples = [{"a": torch.rand(3, 2, 2), "path": f"{n}.png", "meta": {"size": torch.tensor([n, n])}} for n in range(4)]
    batch = collate(samples) | {"scale": torch.tensor(2.0), "names": ("x", "y")}
    parts = [micro_batch((batch,), index, 2)[0] for index in range(2)]
    assert [part["path"] for part in parts] == [["0.png", "2.png"], ["1.png", "3.png"]]
    for index, part in enumerate(parts):
        assert torch.equal(part["a"], batch["a"][index::2])
        assert torch.equal(part["meta"]["size"], batch["meta"]["size"][index::2])
        assert part["scale"] is batch["scale"] and part["names"] == batch["names"], "these are not per sample"


def test_merging_is_the_inverse_of_splitting() -> None:
    whole = {"x": torch.rand(6, 2), "output": Output(torch.rand(6, 1), None, torch.rand(6))}
    merged = merge([micro_batch((whole,), index, 3)[0] for index in range(3)])
    assert torch.equal(merged["x"], whole["x"]) and merged["output"].input is None
    assert torch.equal(merged["output"].fake, whole["output"].fake) and isinstance(merged["output"], Output)


@pytest.mark.parametrize(("rows", "wanted", "count"), [(4, 2, 2), (4, 4, 4), (1, 4, 1), (6, 4, 2), (3, 2, 1)])
def test_a_batch_is_split_into_equal_parts_only(rows: int, wanted: int, count: int) -> None:
    assert num_micro_batches((torch.rand(rows, 1), 3), wanted) == count


def test_a_tensor_with_a_graph_cannot_be_split() -> None:
    with refused("model.tensor_not_splittable", "micro_batches"):
        micro_batch((torch.rand(4, 1), torch.rand(4, 1, requires_grad=True) * 2), 0, 2)


@pytest.mark.parametrize("micro_batches", [1, 2, 4])
@pytest.mark.parametrize("build", [cyclegan, pix2pix, unsb, stargan2])
def test_a_training_step_runs_once_for_each_batch(build: Any, micro_batches: int, tmp_path: Path) -> None:
    """With two, three and four players: 3 batches, 3 steps; each loss function is called once for each micro-batch."""
    calls: list[str] = []
    module = build()
    module.iteration = 0

    class Counting(type(module)):  # type: ignore[misc]
        def training_step(self, batch: Any, batch_idx: int) -> None:
            calls.append("step")
            super().training_step(batch, batch_idx)

        def discriminator_losses(self, *args: Any) -> Any:
            calls.append("losses")
            return super().discriminator_losses(*args)

    module.__class__ = Counting
    module.micro_batches = micro_batches
    fit(module, 3, tmp_path)
    assert calls.count("step") == 3
    assert calls.count("losses") == 3 * micro_batches * (2 if build is stargan2 else 1)


def fit(module: BaseModel, iterations: int, folder: Path) -> None:
    """Train on batches of four random samples with the keys that the model needs."""
    generator = torch.Generator().manual_seed(0)
    dtype = next(module.parameters()).dtype
    samples = [
        {name: torch.rand(3, 16, 16, generator=generator, dtype=dtype) * 2 - 1 for name in ("a", "b", "a2", "other")}
        | {"source": torch.tensor(index % 2), "target": torch.tensor(1 - index % 2)}
        for index in range(4)
    ]
    train(module, iterations, folder, samples=samples, batch_size=4)


def steps_of(module: BaseModel, batch: Any) -> list[Step]:
    """The optimizer steps of a training step, without taking them."""
    steps: list[Step] = []

    def optimize(player: Any, losses: Any, *given: Any) -> Losses:
        steps.append(([each.name for each in ([player] if isinstance(player, Player) else player)], (losses, *given)))
        return Losses({})

    module.optimize = module.optimize_discriminators = optimize  # type: ignore[assignment, method-assign]
    module.iteration = module.iteration or 1
    module.training_step(batch, 0)
    return steps


def images(count: int = 1) -> Tensor:
    return torch.rand(count, 3, 32, 32) * 2 - 1


class Recording(nn.Module):
    """A discriminator that records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        self.shown.append(image)
        return DiscriminatorOutput((image.mean(dim=(1, 2, 3)),))


@torch.no_grad()
def test_pix2pix_conditions_its_discriminator_on_the_source() -> None:
    module, a, b = pix2pix(), images(), images()
    discriminators, generators = steps_of(module, {"a": a, "b": b})
    assert (discriminators[0], generators[0]) == (["discriminators"], ["generators"])
    fake = generators[1][3].part(0)
    module.discriminator = watching = Recording()
    module.discriminator_losses(*discriminators[1][1:])
    real_shown, fake_shown = watching.shown
    assert torch.equal(real_shown, torch.cat([a, b], 1)) and torch.equal(fake_shown, torch.cat([a, fake], 1))


@torch.no_grad()
def test_perceptual_gan_compares_translations_with_the_target_domain() -> None:
    module, a, b = hybrid(content_weight=0.0, style_weight=0.0), images(), images()
    (_, (_, real, fake)), (_, (_, source, target, same)) = steps_of(module, {"a": a, "b": b})
    assert torch.equal(real, b) and torch.equal(fake, module.generator(a)) and torch.equal(fake, same.part(0))
    assert torch.equal(source, a) and torch.equal(target, b)


@torch.no_grad()
def test_multidomain_conditions_its_discriminator_on_the_target_in_both_steps() -> None:
    module, images_batch = multidomain(generator=AddDomainIndex, cycle_weight=0.0), domains([0, 1], [2, 0])
    module.discriminator = watching = Recording()
    module.discriminator_losses(images_batch, images_batch["a"])
    module.generator_losses(images_batch, images_batch["a"])
    for shown in watching.shown:
        assert torch.equal(shown[:, 3:, 0, 0], torch.tensor([[0.0, 0, 1], [1.0, 0, 0]]))


@torch.no_grad()
def test_stargan2_uses_two_styles_from_latents_and_two_from_references() -> None:
    module, images_batch = stargan2(), domains([0], [1])
    steps = steps_of(module, images_batch)
    for (_, discriminator_given), (_, generator_given) in zip(steps[:2], steps[2:], strict=True):
        _, name, _, source = discriminator_given
        _, same_name, _, same_source, other = generator_given
        assert name == same_name and source is same_source
        assert not torch.equal(source, other), "else nothing would be diverse"
    assert steps[3][1][3] is images_batch["b"] and steps[3][1][4] is images_batch["other"]
    style = module.style(images_batch["b"], images_batch["target"])
    assert torch.equal(style, module.style_encoder.encoder(images_batch["b"], images_batch["target"]))


@torch.no_grad()
def test_cut_compares_patches_at_matching_positions_with_and_without_flip() -> None:
    module, a, b = cut(), images(), images()
    _, (_, (_, source, real, shared, flipped)) = steps_of(module, {"a": a, "b": b})
    translation = shared.part(0)
    assert not flipped and torch.equal(source, a) and torch.equal(real, b)
    assert torch.allclose(translation.fake, module.generator(a), atol=1e-6)
    for key, expected in zip(translation.keys, module.encode(a), strict=True):
        assert torch.equal(key, expected)
    flipping = cut(flip_equivariance=True, identity_nce=False)
    flipping.config = {"seed": 0}
    for flipping.iteration in range(1, 9):
        flipping._draws = 0
        _, (_, (_, _, _, shared, flipped)) = steps_of(flipping, {"a": a, "b": b})
        if flipped:
            break
    assert torch.allclose(shared.part(0).fake, flipping.generator(a.flip(-1)), atol=1e-6)
    for key, expected in zip(shared.part(0).keys, flipping.encode(a), strict=True):
        assert torch.allclose(key, expected, atol=1e-6), "of the image that was not flipped"


def test_normalized_content_ignores_colors() -> None:
    image = images() * 0.4
    other = image * torch.tensor([0.5, 1.5, 0.8]).view(1, 3, 1, 1) + 0.1
    blind = PerceptualLoss(color_pyramid, "none", {"full": 1.0}, {}, normalize_content=True)
    seeing = PerceptualLoss(color_pyramid, "none", {"full": 1.0}, {})
    assert float(blind.content(blind.features(image), blind.features(other))) < 1e-3
    assert float(seeing.content(seeing.features(image), seeing.features(other))) > 0.05
    assert float(blind.content(blind.features(image), blind.features(image.flip(-1)))) > 0.5
