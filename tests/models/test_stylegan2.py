"""StyleGAN2: its optimizer steps, its moving averages, and images from styles."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from stylegan_lab.cli.main import run
from stylegan_lab.models.generation.stylegan2 import StyleGAN2, mix_styles
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.run import Run
from stylegan_lab.training.experiment import build_module, restore_module
from tests.refusals import refused

TINY = [
    "experiment=smoke_generation", "model=stylegan2", "logger=none", "evaluate=false", "data.size=16", "generator.w_dim=8",
    "generator.mapping_layers=2", "discriminator.mapping_layers=2", "generator.max_channels=8", "discriminator.max_channels=8",
    "latents.size=8", "callbacks.validation=null", "callbacks.samples=null", "loss.regularizers.r1.every=2",
]  # fmt: skip


@pytest.fixture
def module(compose_config: Callable[..., DictConfig]) -> StyleGAN2:
    built = build_module(compose_config(*TINY, "model.classes=${data.classes}"))
    assert isinstance(built, StyleGAN2)
    built.generator.w_avg.normal_()
    return built.eval()


def test_a_resumed_run_goes_on_with_the_same_averages() -> None:
    """Of path lengths and of styles, bit for bit."""
    assert run(["train", *TINY, "output_dir=run", "callbacks.checkpointing.every=5", "iterations=8"]) == 0
    uninterrupted = read_checkpoint(Run(Path("run")).checkpoint("last"))["state_dict"]
    half = restore_module(read_checkpoint(Path("run/checkpoints/000005.ckpt")), use_ema=False)
    assert isinstance(half, StyleGAN2) and half.pl_mean > 0
    assert run(["train", "resume=run/checkpoints/000005.ckpt", "iterations=8"]) == 0
    resumed = read_checkpoint(Run(Path("run")).checkpoint("last"))["state_dict"]
    assert uninterrupted["pl_mean"] != half.pl_mean and uninterrupted["generator.w_avg"].abs().min() > 0
    assert all(torch.equal(uninterrupted[name], resumed[name]) for name in uninterrupted)


def test_its_averages_are_kept_with_the_weights(module: StyleGAN2, compose_config: Callable[..., DictConfig]) -> None:
    module.pl_mean.fill_(0.1)
    other = build_module(compose_config(*TINY, "model.classes=${data.classes}", "seed=1"))
    other.load_state_dict(module.state_dict())
    assert isinstance(other, StyleGAN2) and torch.equal(other.pl_mean, module.pl_mean)
    assert torch.equal(other.generator.w_avg, module.generator.w_avg)
    asked = module.numbered_latents(0, 0, 2), torch.tensor([0, 1]), 0.5
    assert torch.equal(other.eval().generate(*asked), module.generate(*asked)), "noise is kept too"


def test_lazy_regularization_adjusts_learning_rate_and_betas(module: StyleGAN2) -> None:
    """Rates times i / (i + 1) and momenta to its power, where a turn more is taken in every i."""
    made_by, judged_by = (player.optimizer.param_groups[0] for player in (module.generators, module.discriminators))
    assert made_by["lr"] == made_by["initial_lr"] == pytest.approx(2e-3 * 4 / 5)
    assert made_by["betas"] == (0.0, pytest.approx(0.99 ** (4 / 5)))
    assert judged_by["lr"] == pytest.approx(2e-3 * 2 / 3)
    assert judged_by["betas"] == (0.0, pytest.approx(0.99 ** (2 / 3)))


def test_without_lazy_regularization_optimizers_are_unchanged(compose_config: Callable[..., DictConfig]) -> None:
    built = build_module(compose_config(*TINY, "model.pl_weight=0", "loss.regularizers.r1=null"))
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
    styles = module.generator.styles(module.numbered_latents(0, 0, 2), module.class_condition(torch.tensor([0, 1])))
    own, next_one = module.generator.synthesize(styles)
    draw = module.generator.synthesize
    assert torch.allclose(draw(mix_styles(styles, styles.roll(1, 0), 0))[0], next_one, atol=1e-6)
    assert torch.allclose(draw(mix_styles(styles, styles.roll(1, 0), module.generator.num_ws))[0], own, atol=1e-6)
    latents = module.numbered_latents(0, 0, 2)
    halfway = module.mix(latents[:1], latents[1:], torch.tensor([0]))[0]
    assert not torch.allclose(halfway, own, atol=0.01) and not torch.allclose(halfway, next_one, atol=0.01)


@pytest.mark.parametrize(("share", "crossings"), [(0.0, {6}), (1.0, {1, 2, 3, 4, 5})])
def test_style_mixing_prob_is_the_share_of_mixed_images(share: float, crossings: set[int], module: StyleGAN2) -> None:
    module.style_mixing_prob = share
    torch.manual_seed(0)
    styles = module.mixed_styles(64, module.class_condition(torch.arange(64) % 10))
    assert module.generator.num_ws == 6
    from_first = (styles == styles[:, :1]).all(dim=2).sum(dim=1)
    assert set(from_first.tolist()) == crossings


def test_an_image_does_not_depend_on_the_rest_of_its_batch(module: StyleGAN2) -> None:
    labels = torch.arange(4)
    together = module.generate(module.numbered_latents(0, 0, 4), labels)
    single = torch.cat(
        [module.generate(module.numbered_latents(0, number, 1), labels[number, None]) for number in range(4)]
    )
    assert torch.allclose(together, single, atol=1e-5)


def test_noise_is_fresh_in_training(module: StyleGAN2) -> None:
    for block in module.generator.blocks:
        for layer in block.layers:  # type: ignore[union-attr]
            nn.init.ones_(layer.noise_strength)  # type: ignore[arg-type, union-attr]
    styles = module.generator.styles(module.numbered_latents(0, 0, 1), module.class_condition(torch.tensor([0])))
    assert not torch.equal(module.synthesize(styles), module.synthesize(styles))


def test_nets_without_styles_are_refused(compose_config: Callable[..., DictConfig]) -> None:
    with refused("model.network_mismatch", "generator=DCGANGenerator", "generator=stylegan2"):
        build_module(compose_config("experiment=smoke_generation", "model=stylegan2", "generator=dcgan"))
