"""ProGAN: when its networks grow, and what is reset and kept then."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import DictConfig

from stylegan_lab.cli.main import run
from stylegan_lab.losses.regularizers import DriftPenalty
from stylegan_lab.models.generation.progan import ProGAN, growth_stage
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.progan import upsample_2x
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.run import Run
from stylegan_lab.training.experiment import build_module, restore_module
from tests.refusals import refused

TINY = [
    "experiment=smoke_generation", "model=progan", "logger=none", "evaluate=false", "data.size=16", "latents.size=8",
    "generator.max_channels=8", "discriminator.max_channels=8", "model.stable_images=4", "model.fade_images=4",
    "callbacks.validation=null", "callbacks.samples=null",
]  # fmt: skip


@pytest.fixture
def module(compose_config: Callable[..., DictConfig]) -> ProGAN:
    built = build_module(compose_config(*TINY))
    assert isinstance(built, ProGAN)
    return built


def test_levels_are_held_and_then_faded_in_until_all_are_grown() -> None:
    seen = {
        images: growth_stage(images, stable_images=600, fade_images=400, levels=3)
        for images in (0, 600, 700, 1000, 1599, 1800, 2000, 9999)
    }
    assert seen == {0: 0, 600: 0, 700: 0.25, 1000: 1, 1599: 1, 1800: 1.5, 2000: 2, 9999: 2}
    assert growth_stage(12_000_000, 600_000, 600_000, 9) == 8, "the paper's 12 million images are enough for 1024 px"


def test_real_images_are_reduced_to_the_current_resolution(module: ProGAN) -> None:
    real = torch.randn(2, 1, 16, 16)
    at_4, at_8 = upsample_2x(upsample_2x(F.avg_pool2d(real, 4))), upsample_2x(F.avg_pool2d(real, 2))
    for grown, expected in {0.0: at_4, 0.75: torch.lerp(at_4, at_8, 0.75), 1.0: at_8, 2.0: real}.items():
        module.grow(grown)
        assert torch.allclose(module.match_resolution(real), expected, atol=1e-6)


def test_optimizer_states_are_reset_at_both_ends_of_a_fade(module: ProGAN) -> None:
    forgot = []
    for grown in (0.0, 0.25, 0.5, 1.0, 1.0, 1.5):
        for player in module.players:
            player.optimizer.state[0] = {}
        module.grow(grown)
        forgot.append(all(not player.optimizer.state for player in module.players))
    assert forgot == [False, True, False, True, False, True]


def test_a_resumed_run_is_as_far_grown() -> None:
    assert run(["train", *TINY, "output_dir=run", "callbacks.checkpointing.every=4", "iterations=7"]) == 0
    uninterrupted = read_checkpoint(Run(Path("run")).checkpoint("last"))["state_dict"]
    half = restore_module(read_checkpoint(Path("run/checkpoints/000004.ckpt")))
    assert isinstance(half, ProGAN) and half.generator.stage == (1, 0.5)
    assert run(["train", "resume=run/checkpoints/000004.ckpt", "iterations=7"]) == 0
    resumed = read_checkpoint(Run(Path("run")).checkpoint("last"))["state_dict"]
    assert float(uninterrupted["generator.grown"]) == 1.0
    assert all(torch.equal(uninterrupted[name], resumed[name]) for name in uninterrupted)


def test_drift_is_the_mean_square_of_real_logits() -> None:
    logits = torch.tensor([[3.0], [4.0]])
    assert float(DriftPenalty(0.1, every=2)(lambda _: DiscriminatorOutput((logits,)), logits, logits)) == pytest.approx(
        0.1 * 2 * 12.5
    )


def test_networks_that_do_not_grow_are_refused(compose_config: Callable[..., DictConfig]) -> None:
    with refused("model.network_mismatch", "discriminator=DCGANDiscriminator", "discriminator=progan"):
        build_module(compose_config(*TINY, "discriminator=dcgan"))
