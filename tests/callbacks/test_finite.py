"""Losses that are not finite: named, never saved, and rolled back from if asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.cli.main import run
from stylegan_lab.loggers.record import read_record
from stylegan_lab.losses.terms import Terms
from stylegan_lab.manifest import Manifest
from stylegan_lab.modules.cyclegan import CycleGAN

COMMAND = [
    "train", "experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "callbacks.scoring.every=2",
    "callbacks.checkpoints.every=1", "callbacks.checkpoints.keep=null", "trainer.log_every_n_steps=1", "schedule=constant",
    "iterations=14", "output_dir=out",
]  # fmt: skip

Diverging = Callable[..., None]


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> Diverging:
    """From an iteration on, a loss is NaN; perhaps only at full rate."""

    def diverge(iteration: int, at_full_rate_only: bool = False) -> None:
        terms = CycleGAN._round_trip

        def broken(self: CycleGAN, name: str, *arguments: Any, **named: Any) -> Terms:
            computed = terms(self, name, *arguments, **named)
            is_bad = self.iteration >= iteration and (self.rate == 1 or not at_full_rate_only)
            return computed | Terms({f"{name}_odd": computed.total() * torch.nan}) if is_bad else computed

        monkeypatch.setattr(CycleGAN, "_round_trip", broken)

    return diverge


def checkpoints() -> list[Path]:
    return Manifest.of(Path("out/checkpoints")).newest_first()


def all_finite(contents: dict[str, Any]) -> bool:
    averages = [value for net in contents["ema"].values() for value in net.values()]
    return all(bool(value.isfinite().all()) for value in [*contents["state_dict"].values(), *averages])


def test_losses_that_stay_nan_end_the_run_and_nothing_bad_is_saved(
    diverging: Diverging, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging(6)
    assert run(COMMAND) == 2
    said = capsys.readouterr().err
    assert "not finite since iteration 6" in said and "loss/generators_a_odd" in said
    assert "000005.ckpt is good" in said and "callbacks.finite.then=rollback" in said
    assert "iteration 6 is not saved: a_to_b.layers.1.weight is not finite" in Path("out/log.txt").read_text()
    assert [int(path.stem) for path in checkpoints()] == [5, 4, 3, 2, 1], "the third iteration in a row was the last"
    assert all(all_finite(read_checkpoint(path)) for path in checkpoints())
    assert all_finite(read_checkpoint(Path("out/checkpoints/best.ckpt")))


def test_a_single_bad_loss_that_moves_nothing_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    step = CycleGAN.training_step

    def noted(self: CycleGAN, batch: Any, batch_idx: int) -> None:
        step(self, batch, batch_idx)
        if self.iteration in (4, 5, 8):
            self.latest_losses["odd"] = torch.tensor(torch.inf)

    monkeypatch.setattr(CycleGAN, "training_step", noted)
    assert run(COMMAND) == 0


def test_a_run_rolls_back_and_goes_on_more_slowly(diverging: Diverging, capsys: pytest.CaptureFixture[str]) -> None:
    diverging(6, at_full_rate_only=True)
    assert run([*COMMAND, "callbacks.finite.then=rollback"]) == 0
    assert "back to 000005.ckpt, at 0.5 times the learning rate" in capsys.readouterr().out
    contents = read_checkpoint(Path("out/checkpoints/last.ckpt"))
    assert contents["iteration"] == 14 and contents["rate"] == 0.5 and all_finite(contents)
    rates = {
        row["iteration"]: row["rate/generators"]
        for row in read_record(Path("out/metrics.jsonl"))
        if "rate/generators" in row
    }
    assert rates == {iteration: pytest.approx(2e-4 if iteration <= 5 else 1e-4) for iteration in range(1, 15)}
    assert run(["train", "resume=out", "iterations=16"]) == 0
    assert read_checkpoint(Path("out/checkpoints/last.ckpt"))["rate"] == 0.5, "a resumed run stays slow"


def test_rolling_back_comes_to_an_end(diverging: Diverging, capsys: pytest.CaptureFixture[str]) -> None:
    diverging(6)
    assert run([*COMMAND, "callbacks.finite.then=rollback", "callbacks.finite.rollbacks=2"]) == 2
    said = capsys.readouterr()
    assert said.out.count("back to 000005.ckpt") == 2 and "after 2 rollbacks" in said.err


def test_a_run_that_diverged_can_be_resumed_with_a_rollback(diverging: Diverging) -> None:
    diverging(6, at_full_rate_only=True)
    assert run(COMMAND) == 2
    assert run(["train", "resume=out", "callbacks.finite.then=rollback"]) == 0
    assert read_checkpoint(Path("out/checkpoints/last.ckpt"))["iteration"] == 14


def test_a_learning_rate_that_is_far_too_high_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*COMMAND, "optimizer.lr=1e20", "callbacks.scoring=null", "callbacks.alarms=null"]) == 2
    assert "not finite since iteration" in capsys.readouterr().err
    assert all(all_finite(read_checkpoint(path)) for path in checkpoints())
