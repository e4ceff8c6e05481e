"""StyleGAN2 as a game: its turns, what it remembers, and pictures after styles."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.cli.main import run
from stylegan_lab.experiment import build_module, restore_module
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.stylegan2 import StyleGAN2, mixed
from stylegan_lab.runs import Run

TINY = [
    "experiment=smoke", "model=stylegan2", "logger=none", "evaluate=false", "data.size=16", "generator.style_size=8",
    "generator.mapping_layers=2", "adversary.mapping_layers=2", "generator.most_channels=8", "adversary.most_channels=8",
    "latents.size=8", "callbacks.scoring=null", "callbacks.samples=null", "loss.penalties.r1.every=2",
]  # fmt: skip


@pytest.fixture
def module(composed: Callable[..., DictConfig]) -> StyleGAN2:
    built = build_module(composed(*TINY, "model.classes=${data.classes}"))
    assert isinstance(built, StyleGAN2)
    built.generator.average_style.normal_()
    return built.eval()


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_the_same_averages(tmp_path: Path) -> None:
    """Of path lengths and of styles, bit for bit."""
    assert run(["train", *TINY, "output_dir=whole", "iterations=8"]) == 0
    assert run(["train", *TINY, "output_dir=cut", "iterations=5"]) == 0
    half = restore_module(read_checkpoint(Run(tmp_path / "cut").checkpoint("last")), raw=True)
    assert isinstance(half, StyleGAN2) and half.path_length > 0
    assert run(["train", "resume=cut", "iterations=8"]) == 0
    ends = [read_checkpoint(Run(tmp_path / name).checkpoint("last")) for name in ("whole", "cut")]
    one, other = (end["state_dict"] for end in ends)
    assert one["path_length"] != half.path_length and one["generator.average_style"].abs().min() > 0
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_its_averages_are_kept_with_the_weights(module: StyleGAN2, composed: Callable[..., DictConfig]) -> None:
    module.path_length.fill_(0.1)
    other = build_module(composed(*TINY, "model.classes=${data.classes}", "seed=1"))
    other.load_state_dict(module.state_dict())
    assert isinstance(other, StyleGAN2) and torch.equal(other.path_length, module.path_length)
    assert torch.equal(other.generator.average_style, module.generator.average_style)
    asked = module.numbered_latents(0, 0, 2), torch.tensor([0, 1]), 0.5
    assert torch.equal(other.eval().generate(*asked), module.generate(*asked)), "noise is kept too"


def test_lazy_turns_share_their_player_s_time(module: StyleGAN2) -> None:
    """Rates times i / (i + 1) and momenta to its power, where a turn more is taken in every i."""
    made_by, judged_by = (player.optimizer.param_groups[0] for player in (module.generators, module.critics))
    assert made_by["lr"] == made_by["initial_lr"] == pytest.approx(2e-3 * 4 / 5)
    assert made_by["betas"] == (0.0, pytest.approx(0.99 ** (4 / 5)))
    assert judged_by["lr"] == pytest.approx(2e-3 * 2 / 3)
    assert judged_by["betas"] == (0.0, pytest.approx(0.99 ** (2 / 3)))


def test_without_lazy_turns_optimizers_are_as_they_were_given(composed: Callable[..., DictConfig]) -> None:
    built = build_module(composed(*TINY, "model.path_weight=0", "loss.penalties.r1=null"))
    for player in built.players:
        assert player.optimizer.param_groups[0]["lr"] == 2e-3
        assert player.optimizer.param_groups[0]["betas"] == (0.0, 0.99)


def test_truncation_is_asked_for_in_use(module: StyleGAN2) -> None:
    latents, labels = module.numbered_latents(0, 0, 3), torch.tensor([0, 1, 2])
    average = module.generate(latents, labels, 0.0)
    assert torch.allclose(average[0], average[1], atol=1e-6)
    assert torch.equal(module.generate(latents, labels, 1.0), module.generate(latents, labels))
    near, far = (module.generate(latents, labels, kept) - average for kept in (0.1, 1.0))
    assert near.square().mean() < far.square().mean()


def test_mixing_all_layers_of_one_is_that_one(module: StyleGAN2) -> None:
    styles = module.generator.styles(module.numbered_latents(0, 0, 2), module.told(torch.tensor([0, 1])))
    own, next_one = module.generator.draw(styles)
    draw = module.generator.draw
    assert torch.allclose(draw(mixed(styles, styles.roll(1, 0), 0))[0], next_one, atol=1e-6)
    assert torch.allclose(draw(mixed(styles, styles.roll(1, 0), module.generator.layers))[0], own, atol=1e-6)
    latents = module.numbered_latents(0, 0, 2)
    halfway = module.mix(latents[:1], latents[1:], torch.tensor([0]))[0]
    assert not torch.allclose(halfway, own, atol=0.01) and not torch.allclose(halfway, next_one, atol=0.01)


@pytest.mark.parametrize(("share", "crossings"), [(0.0, {6}), (1.0, {1, 2, 3, 4, 5})])
def test_a_share_of_pictures_is_mixed_at_any_layer(share: float, crossings: set[int], module: StyleGAN2) -> None:
    module.mixing = share
    torch.manual_seed(0)
    styles = module.mixed_styles(64, module.told(torch.arange(64) % 10))
    assert module.generator.layers == 6
    from_first = (styles == styles[:, :1]).all(dim=2).sum(dim=1)
    assert set(from_first.tolist()) == crossings


def test_a_picture_does_not_depend_on_those_made_beside_it(module: StyleGAN2) -> None:
    labels = torch.arange(4)
    together = module.generate(module.numbered_latents(0, 0, 4), labels)
    alone = torch.cat(
        [module.generate(module.numbered_latents(0, number, 1), labels[number, None]) for number in range(4)]
    )
    assert torch.allclose(together, alone, atol=1e-5)


def test_noise_is_fresh_in_training(module: StyleGAN2) -> None:
    for block in module.generator.blocks:
        for layer in block.layers:  # type: ignore[union-attr]
            nn.init.ones_(layer.noise_strength)  # type: ignore[arg-type, union-attr]
    styles = module.generator.styles(module.numbered_latents(0, 0, 1), module.told(torch.tensor([0])))
    assert not torch.equal(module.drawn(styles), module.drawn(styles))


def test_nets_without_styles_are_refused(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(Mistake, match="DCGANGenerator is none; give generator=stylegan2"):
        build_module(composed("experiment=smoke", "model=stylegan2", "generator=dcgan"))
