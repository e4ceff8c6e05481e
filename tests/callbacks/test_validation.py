"""Validation scores during a training: configured metrics, shared by the ranks, and the best checkpoint by one of them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from stylegan_lab.callbacks.validation import Validation
from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.classifier_metrics import ClassifierScore
from stylegan_lab.evaluation.evaluator import compute_scores
from stylegan_lab.evaluation.feature_extractors import MetricFeatures, untrained_vgg16
from stylegan_lab.evaluation.feature_metrics import feature_metrics
from stylegan_lab.training.experiment import build_experiment
from tests.refusals import refused

SMALL = [
    "experiment=smoke", "logger=none", "data.size=16", "metrics=untrained", "callbacks.samples=null", "callbacks.gan_failures=null",
    "callbacks.validation.every=1", "callbacks.checkpointing.monitor=val/fid_untrained", "output_dir=run",
]  # fmt: skip
MODELS = {
    "translation": ["generator.channels=2", "discriminator.channels=2", "evaluate=false"],
    "generation": ["model=gan", "generator=fully_connected", "discriminator=fully_connected", "data=glyphs"],
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))


class FixedEvaluator:
    """An evaluator whose inputs are its predictions."""

    def __init__(self, real: torch.Tensor) -> None:
        self.real = real

    def predict(self, batch: torch.Tensor, _: Any) -> torch.Tensor:
        return batch

    @property
    def reference_sets(self) -> dict[str, torch.Tensor]:
        return {"target": self.real}


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_share_the_images_and_score_like_one_process(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(256, (10, 3, 16, 16), generator=rng) / 255 for _ in range(2))
    metrics = feature_metrics(untrained_vgg16.__wrapped__(), ["fid", "kid", "coverage"])
    validation = Validation(metrics={"untrained": metrics})
    validation._evaluator = FixedEvaluator(real)  # type: ignore[assignment]
    monkeypatch.setattr("stylegan_lab.callbacks.validation.stop_requested", lambda _: False)
    batches = fake.split(2)
    by_rank = [
        [validation._predict(validation._evaluator, batch, None, None) for batch in batches[rank::ranks]]  # type: ignore[arg-type]
        for rank in range(ranks)
    ]
    extracted: list[int] = []
    vectors = MetricFeatures.vectors
    monkeypatch.setattr(
        MetricFeatures, "vectors", lambda self, images: extracted.append(len(images)) or vectors(self, images)
    )
    scores = validation._score(validation._evaluator, by_rank, len(batches))
    assert extracted == [10], "only the real images, on the first rank"
    expected = compute_scores(
        fake, {"target": real}, feature_metrics(untrained_vgg16.__wrapped__(), ["fid", "kid", "coverage"])
    )
    assert {name: scores[f"val/{name}"] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_classifier_metrics_are_recorded_with_direction_and_protocol() -> None:
    validation = Validation(classifier_metrics=True)
    evaluator: Any = FixedEvaluator(torch.rand(2, 3, 16, 16))
    evaluator.name, evaluator.count = "generated", 2
    evaluator.classifier_scores = lambda images: {
        "class_consistency": ClassifierScore(len(images), 1, "higher", "share read as asked"),
        "modes_covered": ClassifierScore(1, 1, "higher", "of 3", missing="the classifier reads nothing"),
    }
    validation._evaluator = evaluator
    scores = validation._score(evaluator, [[(evaluator.real, [])]], 1)
    assert scores["val/class_consistency"] == 2 and "val/modes_covered" not in scores
    protocol = validation._protocol(evaluator, SimpleNamespace(callbacks=[]))  # type: ignore[arg-type]
    assert (
        protocol["better"]["val/class_consistency"] == "higher"
        and protocol["better"]["val/palette_distance"] == "lower"
    )
    assert (
        protocol["missing"] == {"val/modes_covered": "the classifier reads nothing"}
        and protocol["protocol"]["val/class_consistency"] == "share read as asked"
        and "val/l1" not in protocol["protocol"]
    )


@pytest.mark.parametrize("kind", MODELS)
def test_the_best_checkpoint_is_that_of_the_monitored_score(kind: str) -> None:
    assert run(["train", *SMALL, *MODELS[kind], "iterations=2"]) == 0
    record = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    curve = {line["iteration"]: line["val/fid_untrained"] for line in record if "val/fid_untrained" in line}
    assert curve.keys() == {1, 2} and all("val/kid_untrained" in line for line in record if "val/l1" in line)
    best = torch.load("run/checkpoints/best.ckpt", weights_only=True)
    assert best["iteration"] == min(curve, key=lambda iteration: curve[iteration])
    protocol = json.loads(Path("run/protocol.json").read_text())
    assert (
        untrained_vgg16().sha256 in protocol["protocol"]["val/fid_untrained"]
        and protocol["better"]["val/fid_untrained"] == "lower"
    )
    assert protocol["ema"] and protocol["counts"]["target"] > 0
    if kind == "translation":
        return
    scores = json.loads(Path("run/scores.json").read_text())
    assert scores["metrics"]["fid_untrained"] > 0 and untrained_vgg16().sha256 in scores["protocol"]["fid_untrained"]
    assert set(scores["counts"].values()) == {scores["n"]} and "target" in scores["counts"]


@pytest.mark.parametrize(
    ("setting", "code", "named"),
    [
        (
            "metrics.untrained.names=[fid,density]",
            "evaluation.too_few_images",
            "val/density_untrained needs at least 6 images and as many references; there are 4",
        ),
        ("metrics.untrained.names=[fit]", "config.unknown_choice", "metrics=fit"),
        ("metrics.untrained.features.layer=relu9", "config.unknown_choice", "layer of untrained=relu9"),
        ("metrics.untrained.features.resize=sharp", "config.unknown_choice", "resize=sharp"),
        (
            "callbacks.checkpointing.monitor=val/fid_inception",
            "config.unknown_choice",
            "did you mean val/fid_untrained?",
        ),
        (
            "callbacks.checkpointing.higher_is_better=true",
            "checkpoint.monitor_direction",
            "callbacks.checkpointing.higher_is_better=false",
        ),
    ],
)
def test_a_metric_that_cannot_be_computed_is_an_error_before_training(
    setting: str, code: str, named: str, compose_config: Callable[..., DictConfig]
) -> None:
    with refused(code, named):
        build_experiment(compose_config(*SMALL, setting), {})
