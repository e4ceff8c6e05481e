"""Evaluators: every held-out image counts once, however many the other domain has."""

from pathlib import Path

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.evaluator import TranslationEvaluator, compute_scores
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.evaluation.sliced_wasserstein import palette_distance, sliced_wasserstein
from tests.data.folders.photos import data_of, photos, training_arguments
from tests.refusals import assert_refused


@pytest.mark.parametrize(("count_a", "count_b"), [(3, 5), (5, 3), (4, 4)])
def test_no_image_is_an_input_or_a_reference_twice(tmp_path: Path, count_a: int, count_b: int) -> None:
    for name, count in (("trainA", 2), ("trainB", 2), ("testA", count_a), ("testB", count_b)):
        photos(tmp_path / "root" / name, count, first=20 * len(name) + count_a)
    data = data_of("data=unpaired", f"data.root={tmp_path / 'root'}")
    forward, backward = (TranslationEvaluator(data, "test", direction) for direction in ("a2b", "b2a"))
    for evaluator, inputs, references in ((forward, count_a, count_b), (backward, count_b, count_a)):
        assert evaluator.count == inputs == sum(map(len, evaluator.inputs(2)))
        assert {name: len(images) for name, images in evaluator.reference_sets.items()} == {
            "input": inputs,
            "target": references,
        }
        assert len({image.numpy().tobytes() for image in evaluator.domains.b}) == references
        scores = compute_scores(evaluator.domains.a, evaluator.reference_sets)
        assert scores.keys() == {name for name, metric in METRICS.items() if metric.reference != "truth"}
        assert all(torch.tensor(list(scores.values())).isfinite())


def test_too_few_images_of_a_domain_are_an_error_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, count in (("trainA", 2), ("trainB", 2), ("testA", 3), ("testB", 1)):
        photos(tmp_path / "root" / name, count, first=20 * len(name) + count)
    overrides = ["data=unpaired", "data.root=root", "metrics=untrained", "metrics.untrained.names=[kid]"]
    assert run(training_arguments(*overrides)) == 2
    named = ("kid_untrained", "at least 2 images", "3 and 1")
    assert_refused(capsys.readouterr().err, "evaluation.too_few_images", *named)
    photos(tmp_path / "root" / "testB", 2, first=50)
    assert run(training_arguments(*overrides, "dry_run=true")) == 0


@pytest.mark.parametrize("distance", [sliced_wasserstein, palette_distance])
def test_a_set_and_its_duplicate_are_close(distance) -> None:  # type: ignore[no-untyped-def]
    """The distance is not 0, because patches are cut from random images."""
    few, far = (torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in range(2))
    assert distance(few, few) == 0
    assert distance(few, torch.cat([few, few])) < 0.1 * distance(few, far * 0.5)
    assert distance(few[:1], torch.cat([few[:1], far * 0.5])) > distance(few[:1], few), "all images count"


def test_a_large_set_is_subsampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.evaluation.sliced_wasserstein.MAX_IMAGES", 4)
    dark, light = torch.zeros(4, 3, 16, 16), torch.ones(4, 3, 16, 16)
    both = torch.cat([dark, light])
    assert sliced_wasserstein(both, torch.cat([dark[:2], light[:2]])) == 0
    assert sliced_wasserstein(both, dark) > 0.1 and sliced_wasserstein(both, light) > 0.1
