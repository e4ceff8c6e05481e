"""GAN failure warnings: given when they should be, once, and not otherwise."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.image_metrics import diversity
from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss, WassersteinLoss
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.runs.metrics_file import read_metrics

COMMAND = [
    "train", "experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "callbacks.validation=null",
    "callbacks.checkpointing.monitor=null", "trainer.log_every_n_steps=1", "callbacks.gan_failures.every=4",
    "callbacks.gan_failures.patience=5", "output_dir=out",
]  # fmt: skip


def test_diversity_is_a_ratio_of_distances() -> None:
    images = torch.rand(8, 3, 32, 32)
    assert diversity(images, images) == pytest.approx(1)
    assert diversity(images * 0.25 + 0.1, images) == pytest.approx(0.25)
    assert diversity(images[:1].expand(8, -1, -1, -1), images) == 0
    assert diversity(images, images[torch.randperm(8)]) == pytest.approx(1), "whatever the order"


def test_the_win_rate_is_the_share_of_real_images_ranked_above_fake_ones() -> None:
    def discriminator(images: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput((images,))

    real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 3.0], [2.0, 3.0]])
    assert (
        float(AdversarialLoss(LSGANLoss()).discriminator_loss(discriminator, real, fake, 1).stats["d_win_rate"]) == 0.75
    )
    assert (
        "d_win_rate" not in AdversarialLoss(WassersteinLoss()).discriminator_loss(discriminator, real, fake, 1).stats
    ), "a strong critic does no harm there"


def count_in_log(text: str) -> int:
    return Path("out/log.txt").read_text().count(text)


def test_a_normal_run_has_no_warning_and_records_the_statistics() -> None:
    assert run(COMMAND) == 0
    assert count_in_log("is overpowered") == count_in_log("collapsed") == 0
    rows = read_metrics(Path("out/metrics.jsonl"))
    assert [row["iteration"] for row in rows if "d_win_rate/discriminators_a" in row] == list(range(1, 9))
    for direction in ("a2b", "b2a"):
        assert [row["iteration"] for row in rows if f"diversity/{direction}" in row] == [4, 8]


def test_a_single_held_out_image_has_no_diversity_to_warn_of() -> None:
    assert run([*COMMAND, "iterations=4", "data.val_images=1"]) == 0
    assert count_in_log("collapsed") == 0
    assert not [row for row in read_metrics(Path("out/metrics.jsonl")) if "diversity/a2b" in row]


def test_there_is_one_warning_per_overpowered_discriminator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    discriminator_loss = AdversarialLoss.discriminator_loss

    def overpowered_loss(self: AdversarialLoss, *arguments: Any) -> Any:
        losses = discriminator_loss(self, *arguments)
        losses.stats["d_win_rate"] = torch.tensor(1.0)
        return losses

    monkeypatch.setattr(AdversarialLoss, "discriminator_loss", overpowered_loss)
    assert run(COMMAND) == 0
    assert (
        count_in_log(
            "iteration 5: discriminators_a is overpowered: it ranked over 99% of all real images above fake ones in 5 "
            "logged iterations"
        )
        == 1
    )
    assert count_in_log("is overpowered") == 2, "each discriminator once"
    assert "! discriminators_a is overpowered" in next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("8/8")
    )


def test_there_is_one_warning_per_collapsed_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CycleGAN, "translate", lambda self, image, direction="a2b": torch.zeros_like(image))
    assert run(COMMAND) == 0
    assert (
        count_in_log("iteration 4: a2b may have collapsed: the diversity of its images is 0.00 of that of real images")
        == 1
    )
    assert count_in_log("collapsed") == 2, "each direction once"


def test_a_short_run_is_looked_at_at_its_first_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    discriminator_loss = AdversarialLoss.discriminator_loss

    def overpowered_loss(self: AdversarialLoss, *arguments: Any) -> Any:
        losses = discriminator_loss(self, *arguments)
        losses.stats["d_win_rate"] = torch.tensor(1.0)
        return losses

    monkeypatch.setattr(AdversarialLoss, "discriminator_loss", overpowered_loss)
    monkeypatch.setattr(CycleGAN, "translate", lambda self, image, direction="a2b": torch.zeros_like(image))
    left_out = (
        "callbacks.validation=",
        "callbacks.gan_failures.every=",
        "callbacks.gan_failures.patience=",
        "output_dir=",
    )
    words = [each for each in COMMAND if not each.startswith(left_out)]
    assert run([*words, "output_dir=out", "callbacks.validation.every=6", "callbacks.gan_failures.patience=8"]) == 0
    assert count_in_log("iteration 6: a2b may have collapsed") == 1
    assert count_in_log("iteration 6: discriminators_a is overpowered") == 1
    assert count_in_log("discriminators_a is overpowered") == 1, "and not again when there are enough iterations"
    assert run([*words, "output_dir=out2", "callbacks.gan_failures.every=0"]) == 0
    assert "collapsed" not in Path("out2/log.txt").read_text()
