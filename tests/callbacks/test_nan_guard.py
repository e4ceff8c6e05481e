"""NaN or infinite losses: named, never saved, and rolled back from if configured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.losses.losses import Losses
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.metrics_file import read_metrics
from tests.refusals import assert_refused

COMMAND = [
    "train", "experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "callbacks.validation.every=2",
    "callbacks.checkpointing.every=1", "callbacks.checkpointing.keep=null", "trainer.log_every_n_steps=1", "schedule=constant",
    "iterations=8", "generator.channels=2", "discriminator.channels=2", "output_dir=out",
]  # fmt: skip
UNVALIDATED = [*COMMAND, "callbacks.validation=null", "callbacks.gan_failures=null"]

Diverging = Callable[..., None]


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> Diverging:
    """From an iteration on a loss is NaN, possibly only at the full learning rate."""

    def diverge(iteration: int, at_full_rate_only: bool = False) -> None:
        terms = CycleGAN._cycle_losses

        def losses_with_nan(self: CycleGAN, name: str, *arguments: Any, **named: Any) -> Losses:
            computed = terms(self, name, *arguments, **named)
            is_bad = self.iteration >= iteration and (self.lr_scale == 1 or not at_full_rate_only)
            return computed | Losses({f"{name}_odd": computed.total() * torch.nan}) if is_bad else computed

        monkeypatch.setattr(CycleGAN, "_cycle_losses", losses_with_nan)

    return diverge


def checkpoints() -> list[Path]:
    return CheckpointIndex.read(Path("out/checkpoints")).newest_first()


def all_finite(contents: dict[str, Any]) -> bool:
    averages = [value for net in contents["ema"].values() for value in net.values()]
    return all(bool(value.isfinite().all()) for value in [*contents["state_dict"].values(), *averages])


def test_losses_that_stay_nan_end_the_run_and_no_bad_state_is_saved(
    diverging: Diverging, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging(3)
    assert run(COMMAND) == 2
    named = (
        "not finite since iteration 3",
        "loss/generators_a_odd",
        "000002.ckpt",
        "callbacks.nan_guard.on_nan=rollback",
    )
    assert_refused(capsys.readouterr().err, "training.diverged", *named)
    assert "iteration 3 is not saved: a_to_b.layers.1.weight is not finite" in Path("out/log.txt").read_text()
    assert [int(path.stem) for path in checkpoints()] == [2, 1], "the third iteration in a row was the last"
    assert all(all_finite(read_checkpoint(path)) for path in checkpoints())
    assert all_finite(read_checkpoint(Path("out/checkpoints/best.ckpt")))
    assert run(COMMAND) == 2, "the same command resumes the run, which diverges again"
    error = capsys.readouterr().err
    assert_refused(error, "training.diverged", "as before", "optimizer.lr, such as 2e-05 instead of 0.0002")
    assert "on_nan=rollback" not in error


def test_a_single_bad_loss_is_tolerated(monkeypatch: pytest.MonkeyPatch) -> None:
    step = CycleGAN.training_step

    def step_with_infinite_loss(self: CycleGAN, batch: Any, batch_idx: int) -> None:
        step(self, batch, batch_idx)
        if self.iteration in (2, 3, 6):
            self.latest_losses["odd"] = torch.tensor(torch.inf)

    monkeypatch.setattr(CycleGAN, "training_step", step_with_infinite_loss)
    assert run(UNVALIDATED) == 0


def test_a_run_rolls_back_and_resumes_at_a_lower_learning_rate(
    diverging: Diverging, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging(3, at_full_rate_only=True)
    assert run([*COMMAND, "callbacks.nan_guard.on_nan=rollback"]) == 0
    assert "back to 000002.ckpt, at 0.5 times the learning rate" in capsys.readouterr().out
    contents = read_checkpoint(Path("out/checkpoints/last.ckpt"))
    assert contents["iteration"] == 8 and contents["lr_scale"] == 0.5 and all_finite(contents)
    rates = {
        row["iteration"]: row["lr/generators"]
        for row in read_metrics(Path("out/metrics.jsonl"))
        if "lr/generators" in row
    }
    assert rates == {iteration: pytest.approx(2e-4 if iteration <= 2 else 1e-4) for iteration in range(1, 9)}
    assert run(["train", "resume=out", "iterations=9"]) == 0
    assert read_checkpoint(Path("out/checkpoints/last.ckpt"))["lr_scale"] == 0.5, (
        "a resumed run keeps the lower learning rate"
    )


def test_there_are_at_most_max_rollbacks(diverging: Diverging, capsys: pytest.CaptureFixture[str]) -> None:
    diverging(3)
    assert run([*UNVALIDATED, "callbacks.nan_guard.on_nan=rollback", "callbacks.nan_guard.max_rollbacks=2"]) == 2
    output = capsys.readouterr()
    assert output.out.count("back to 000002.ckpt") == 2
    assert_refused(output.err, "training.diverged", "2 rollbacks")


def test_a_run_that_diverged_can_be_resumed_with_a_rollback(diverging: Diverging) -> None:
    diverging(3, at_full_rate_only=True)
    assert run(UNVALIDATED) == 2
    assert run(["train", "resume=out", "callbacks.nan_guard.on_nan=rollback"]) == 0
    assert read_checkpoint(Path("out/checkpoints/last.ckpt"))["iteration"] == 8


def test_a_learning_rate_that_is_far_too_high_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*UNVALIDATED, "optimizer.lr=1e20"]) == 2
    assert_refused(capsys.readouterr().err, "training.diverged", "not finite since iteration")
    assert all(all_finite(read_checkpoint(path)) for path in checkpoints())
