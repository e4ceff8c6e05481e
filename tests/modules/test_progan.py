"""ProGAN as a game: when nets grow, and what is forgotten and kept then."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import DictConfig

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.cli.main import run
from stylegan_lab.experiment import build_module, restore_module
from stylegan_lab.losses.penalties import Drift
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.progan import ProGAN, grown_after
from stylegan_lab.nets.generation.progan import doubled
from stylegan_lab.nets.verdict import Verdict
from stylegan_lab.runs import Run

TINY = [
    "experiment=smoke", "model=progan", "logger=none", "evaluate=false", "data.size=16", "latents.size=8",
    "generator.most_channels=8", "adversary.most_channels=8", "model.stable=4", "model.fading=4",
    "callbacks.scoring=null", "callbacks.samples=null",
]  # fmt: skip


@pytest.fixture
def module(composed: Callable[..., DictConfig]) -> ProGAN:
    built = build_module(composed(*TINY))
    assert isinstance(built, ProGAN)
    return built


def test_levels_are_held_and_then_faded_in_until_all_are_grown() -> None:
    seen = {
        images: grown_after(images, stable=600, fading=400, levels=3)
        for images in (0, 600, 700, 1000, 1599, 1800, 2000, 9999)
    }
    assert seen == {0: 0, 600: 0, 700: 0.25, 1000: 1, 1599: 1, 1800: 1.5, 2000: 2, 9999: 2}
    assert grown_after(12_000_000, 600_000, 600_000, 9) == 8, "the paper's 12 million images are enough for 1024 px"


def test_real_pictures_hold_no_more_than_the_nets_can_make(module: ProGAN) -> None:
    real = torch.randn(2, 1, 16, 16)
    at_4, at_8 = doubled(doubled(F.avg_pool2d(real, 4))), doubled(F.avg_pool2d(real, 2))
    for grown, expected in {0.0: at_4, 0.75: torch.lerp(at_4, at_8, 0.75), 1.0: at_8, 2.0: real}.items():
        module.grow(grown)
        assert torch.allclose(module.at_stage(real), expected, atol=1e-6)


def test_optimizers_forget_at_both_ends_of_a_fade(module: ProGAN) -> None:
    forgot = []
    for grown in (0.0, 0.25, 0.5, 1.0, 1.0, 1.5):
        for player in module.players:
            player.optimizer.state[0] = {}
        module.grow(grown)
        forgot.append(all(not player.optimizer.state for player in module.players))
    assert forgot == [False, True, False, True, False, True]


@pytest.mark.slow
def test_a_resumed_run_is_as_far_grown(tmp_path: Path) -> None:
    assert run(["train", *TINY, "output_dir=whole", "iterations=7"]) == 0
    assert run(["train", *TINY, "output_dir=cut", "iterations=4"]) == 0
    half = restore_module(read_checkpoint(Run(tmp_path / "cut").checkpoint("last")))
    assert isinstance(half, ProGAN) and half.generator.stage == (1, 0.5)
    assert run(["train", "resume=cut", "iterations=7"]) == 0
    one, other = (read_checkpoint(Run(tmp_path / name).checkpoint("last"))["state_dict"] for name in ("whole", "cut"))
    assert float(one["generator.grown"]) == 1.0
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_drift_is_the_mean_square_of_what_is_said_of_reals() -> None:
    said = torch.tensor([[3.0], [4.0]])
    assert float(Drift(0.1, every=2)(lambda _: Verdict((said,)), said, said)) == pytest.approx(0.1 * 2 * 12.5)


def test_nets_that_do_not_grow_are_refused(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(Mistake, match="DCGANCritic is none; give adversary=progan"):
        build_module(composed(*TINY, "adversary=dcgan"))
