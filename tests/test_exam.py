"""Exams: every held-out picture counts once, however many the other domain has."""

from pathlib import Path

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.evaluation.scores import score
from stylegan_lab.evaluation.sliced_wasserstein import palette_distance, sliced_wasserstein
from stylegan_lab.exam import TranslationExam
from tests.data.folders.photos import data_of, photos, played


@pytest.mark.parametrize(("of_a", "of_b"), [(3, 5), (5, 3), (4, 4)])
def test_no_picture_is_asked_or_held_against_twice(tmp_path: Path, of_a: int, of_b: int) -> None:
    for name, count in (("trainA", 2), ("trainB", 2), ("testA", of_a), ("testB", of_b)):
        photos(tmp_path / "root" / name, count, first=20 * len(name) + of_a)
    data = data_of("data=unpaired", f"data.root={tmp_path / 'root'}")
    there, back = (TranslationExam(data, "test", direction) for direction in ("a2b", "b2a"))
    for exam, asked, others in ((there, of_a, of_b), (back, of_b, of_a)):
        assert exam.count == asked == sum(map(len, exam.questions(2)))
        assert {against: len(pictures) for against, pictures in exam.others.items()} == {
            "input": asked,
            "target": others,
        }
        assert len({picture.numpy().tobytes() for picture in exam.domains.b}) == others
        scores = score(exam.domains.a, exam.others)
        assert scores.keys() == {name for name, metric in METRICS.items() if metric.against != "truth"}
        assert all(torch.tensor(list(scores.values())).isfinite())


def test_too_few_of_either_domain_are_told_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, count in (("trainA", 2), ("trainB", 2), ("testA", 3), ("testB", 1)):
        photos(tmp_path / "root" / name, count, first=20 * len(name) + count)
    given = ["data=unpaired", "data.root=root", "metrics=untrained", "metrics.untrained.which=[kid]"]
    assert run(played(*given)) == 2
    assert "kid_untrained needs at least 2 pictures on either side; there are 3 and 1" in capsys.readouterr().err
    photos(tmp_path / "root" / "testB", 2, first=50)
    assert run(played(*given, "dry_run=true")) == 0


@pytest.mark.parametrize("distance", [sliced_wasserstein, palette_distance])
def test_a_set_and_itself_twice_over_are_near(distance) -> None:  # type: ignore[no-untyped-def]
    """Which picture a patch is taken from is drawn, so they are not at 0."""
    few, far = (torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in range(2))
    assert distance(few, few) == 0
    assert distance(few, torch.cat([few, few])) < 0.1 * distance(few, far * 0.5)
    assert distance(few[:1], torch.cat([few[:1], far * 0.5])) > distance(few[:1], few), "all are looked at"


def test_of_very_many_pictures_some_from_all_over_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.evaluation.sliced_wasserstein.MOST", 4)
    dark, light = torch.zeros(4, 3, 16, 16), torch.ones(4, 3, 16, 16)
    both = torch.cat([dark, light])
    assert sliced_wasserstein(both, torch.cat([dark[:2], light[:2]])) == 0
    assert sliced_wasserstein(both, dark) > 0.1 and sliced_wasserstein(both, light) > 0.1
