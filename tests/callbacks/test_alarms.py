"""Alarms: they ring when they should, once, and not otherwise."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.diversity import diversity
from stylegan_lab.loggers.record import read_record
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import LeastSquares, Wasserstein
from stylegan_lab.modules.cyclegan import CycleGAN
from stylegan_lab.nets.verdict import Verdict

COMMAND = [
    "train", "experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "callbacks.scoring=null",
    "callbacks.checkpoints.monitor=null", "trainer.log_every_n_steps=1", "callbacks.alarms.every=4",
    "callbacks.alarms.looks=5", "output_dir=out",
]  # fmt: skip


def test_diversity_is_a_ratio_of_distances() -> None:
    pictures = torch.rand(8, 3, 32, 32)
    assert diversity(pictures, pictures) == pytest.approx(1)
    assert diversity(pictures * 0.25 + 0.1, pictures) == pytest.approx(0.25)
    assert diversity(pictures[:1].expand(8, -1, -1, -1), pictures) == 0
    assert diversity(pictures, pictures[torch.randperm(8)]) == pytest.approx(1), "whatever the order"


def test_being_ahead_is_the_share_of_reals_ranked_above_fakes() -> None:
    def judge(images: Tensor) -> Verdict:
        return Verdict((images,))

    real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 3.0], [2.0, 3.0]])
    assert float(Contest(LeastSquares()).critic(judge, real, fake, 1).notes["ahead"]) == 0.75
    assert "ahead" not in Contest(Wasserstein()).critic(judge, real, fake, 1).notes, "there, being ahead is no harm"


def told(what: str) -> int:
    return Path("out/log.txt").read_text().count(what)


def test_a_usual_run_rings_no_alarm_and_records_what_they_look_at() -> None:
    assert run(COMMAND) == 0
    assert told("has won") == told("collapsed") == 0
    rows = read_record(Path("out/metrics.jsonl"))
    assert [row["iteration"] for row in rows if "ahead/critics_a" in row] == list(range(1, 9))
    assert [
        row["iteration"]
        for row in rows
        if ("diversity/a2b" in row and "diversity/b2a" in row) or "diversity/b2a" in row
    ] == [4, 8]


def test_a_critic_that_has_won_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    critic = Contest.critic

    def winning(self: Contest, *arguments: Any) -> Any:
        terms = critic(self, *arguments)
        terms.notes["ahead"] = torch.tensor(1.0)
        return terms

    monkeypatch.setattr(Contest, "critic", winning)
    assert run(COMMAND) == 0
    assert told("iteration 5: critics_a has won: for 5 looks it told over 99% of all fakes from reals") == 1
    assert told("has won") == 2, "each critic once"
    assert "! critics_a has won" in next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("8/8")
    )


def test_generators_that_make_one_picture_are_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CycleGAN, "translate", lambda self, image, direction="a2b": torch.zeros_like(image))
    assert run(COMMAND) == 0
    assert told("iteration 4: a2b may have collapsed: its pictures differ 0.00 times as much as real ones") == 1
    assert told("collapsed") == 2, "each direction once"
