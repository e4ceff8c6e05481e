"""Scores during a training: chosen in the config, taken by all ranks together, and the best kept by one of them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from stylegan_lab.callbacks.scoring import Scoring
from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.crowd_metrics import crowd_metrics
from stylegan_lab.evaluation.embedding import Embedding
from stylegan_lab.evaluation.embeddings import untrained
from stylegan_lab.evaluation.scores import score
from stylegan_lab.experiment import build
from stylegan_lab.marks import Mark
from stylegan_lab.mistake import Mistake

SMALL = [
    "experiment=smoke", "logger=none", "data.size=16", "metrics=untrained", "callbacks.samples=null", "callbacks.alarms=null",
    "callbacks.scoring.every=1", "callbacks.checkpoints.monitor=val/fid_untrained", "output_dir=run",
]  # fmt: skip
MODELS = {
    "translation": ["translator.channels=2", "critic.channels=2", "evaluate=false"],
    "generation": ["model=gan", "generator=fully_connected", "adversary=fully_connected", "data=glyphs"],
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))


class Given:
    """An exam whose answers are known."""

    def __init__(self, real: torch.Tensor) -> None:
        self.real = real

    def put(self, question: torch.Tensor, _: Any) -> torch.Tensor:
        return question

    @property
    def others(self) -> dict[str, torch.Tensor]:
        return {"target": self.real}


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_look_at_their_own_pictures_and_score_as_one(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(256, (10, 3, 16, 16), generator=dice) / 255 for _ in range(2))
    metrics = crowd_metrics(untrained.__wrapped__(), ["fid", "kid", "coverage"])
    scoring = Scoring(metrics={"untrained": metrics})
    scoring._exam = Given(real)  # type: ignore[assignment]
    monkeypatch.setattr("stylegan_lab.callbacks.scoring.asked_to_leave", lambda _: False)
    questions = fake.split(2)
    everyone = [
        [scoring._put(scoring._exam, question, None, None) for question in questions[rank::ranks]]  # type: ignore[arg-type]
        for rank in range(ranks)
    ]
    seen: list[int] = []
    look = Embedding.vectors
    monkeypatch.setattr(Embedding, "vectors", lambda self, images: seen.append(len(images)) or look(self, images))
    scores = scoring._mark(scoring._exam, everyone, len(questions))
    assert seen == [10], "the first rank looks at the real pictures alone"
    alone = score(fake, {"target": real}, crowd_metrics(untrained.__wrapped__(), ["fid", "kid", "coverage"]))
    assert {name: scores[f"val/{name}"] for name in alone} == pytest.approx(alone, rel=1e-3, abs=1e-5)


def test_marks_are_written_with_their_direction_and_protocol() -> None:
    scoring = Scoring(marks=True)
    exam: Any = Given(torch.rand(2, 3, 16, 16))
    exam.answer, exam.count = "generated", 2
    exam.marks = lambda answers: {"class_consistency": Mark(len(answers), 1, "higher", "share read as asked")}
    scoring._exam = exam
    assert scoring._mark(exam, [[(exam.real, [])]], 1)["val/class_consistency"] == 2
    told = scoring._protocol(exam, SimpleNamespace(callbacks=[]))  # type: ignore[arg-type]
    assert told["better"]["val/class_consistency"] == "higher" and told["better"]["val/palette_distance"] == "lower"
    assert told["protocol"]["val/class_consistency"] == "share read as asked" and "val/l1" not in told["protocol"]


@pytest.mark.parametrize("kind", MODELS)
def test_the_best_is_kept_by_the_score_that_is_chosen(kind: str) -> None:
    assert run(["train", *SMALL, *MODELS[kind], "iterations=2"]) == 0
    record = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    curve = {line["iteration"]: line["val/fid_untrained"] for line in record if "val/fid_untrained" in line}
    assert curve.keys() == {1, 2} and all("val/kid_untrained" in line for line in record if "val/l1" in line)
    best = torch.load("run/checkpoints/best.ckpt", weights_only=True)
    assert best["iteration"] == min(curve, key=lambda iteration: curve[iteration])
    protocol = json.loads(Path("run/protocol.json").read_text())
    assert (
        untrained().sha256 in protocol["protocol"]["val/fid_untrained"]
        and protocol["better"]["val/fid_untrained"] == "lower"
    )
    assert protocol["ema"] and protocol["counts"]["target"] > 0
    if kind == "translation":
        return
    scores = json.loads(Path("run/scores.json").read_text())
    assert scores["metrics"]["fid_untrained"] > 0 and untrained().sha256 in scores["protocol"]["fid_untrained"]
    assert set(scores["counts"].values()) == {scores["n"]} and "target" in scores["counts"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "metrics.untrained.which=[fid,density]",
            "val/density_untrained needs at least 6 pictures on either side; there are 4",
        ),
        ("metrics.untrained.which=[fit]", "metrics=fit is unknown"),
        ("metrics.untrained.features.layer=relu9", "metrics: layer of untrained=relu9 is unknown"),
        ("metrics.untrained.features.resize=sharp", "resize=sharp is unknown"),
        ("callbacks.checkpoints.monitor=val/fid_inception", "did you mean val/fid_untrained?"),
        ("callbacks.checkpoints.higher_is_better=true", "give callbacks.checkpoints.higher_is_better=false"),
    ],
)
def test_what_cannot_be_scored_is_told_before_anything_is_played(
    setting: str, told: str, composed: Callable[..., DictConfig]
) -> None:
    with pytest.raises(Mistake) as mistake:
        build(composed(*SMALL, setting), {})
    assert told in str(mistake.value)
