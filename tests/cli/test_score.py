"""`score`: two folders, no run."""

import json
from pathlib import Path

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.crowd_metrics import COMPARISONS, crowd_metrics
from stylegan_lab.evaluation.embeddings import untrained
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.images.convert import to_unit
from stylegan_lab.images.write import write_picture


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))
    untrained.cache_clear()
    return tmp_path / "cache"


def folder(name: str, seed: int, count: int = 8, size: int = 16, suffix: str = "png") -> torch.Tensor:
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    for number, image in enumerate(images):
        write_picture(image, Path(name) / f"{number}.{suffix}")
    return to_unit(images)


def test_folders_are_scored_as_their_pictures_would_be(capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = folder("real", 0), folder("fake/below", 1)
    assert run(["score", "real", "fake", "--json", "scores.json", "--batch-size", "3"]) == 0
    written = json.loads(Path("scores.json").read_text())
    expected = {name: metric(fake, real) for name, metric in crowd_metrics(untrained(), list(COMPARISONS)).items()}
    assert written["metrics"] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert written["real"]["n"] == written["fake"]["n"] == 8 and written["size"] == "16x16"
    assert untrained().sha256 in written["protocol"]["fid_untrained"]
    table = capsys.readouterr().out
    assert "fid_untrained ↓" in table and "8 pictures against 8 real ones, 16x16" in table


def test_a_folder_with_itself_is_no_distance_whatever_files_it_is_kept_in() -> None:
    folder("real", 0, 6), folder("again", 0, 6, suffix="bmp")
    names = "fid,precision,coverage,sliced_wasserstein"
    assert run(["score", "real", "again", "--metrics", names, "--json", "scores.json"]) == 0
    scores = json.loads(Path("scores.json").read_text())["metrics"]
    assert scores == pytest.approx(
        {"sliced_wasserstein": 0, "fid_untrained": 0, "precision_untrained": 1, "coverage_untrained": 1}, abs=1e-6
    )


def test_folders_seen_before_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    folder("real", 0), folder("fake", 1)
    assert run(["score", "real", "fake", "--json", "once.json"]) == 0
    untrained.cache_clear()  # as another process
    monkeypatch.setattr("stylegan_lab.cli.score.read_picture", None)
    assert run(["score", "real", "fake", "--json", "again.json"]) == 0
    assert Path("once.json").read_text() == Path("again.json").read_text() and any(cache.rglob("*.pt"))


def test_pictures_of_one_name_are_held_against_each_other() -> None:
    real, fake = folder("real", 0, 3, 24), folder("fake", 1, 3, 24)
    Path("fake/0.png").rename("fake/0.PNG")
    names = "psnr,ssim,lpips_squeeze,style_squeezenet"
    assert run(["score", "real", "fake", "--metrics", names, "--weights", "random", "--json", "scores.json"]) == 0
    scores = json.loads(Path("scores.json").read_text())["metrics"]
    assert scores["psnr"] == pytest.approx(METRICS["psnr"].measure(fake, real), rel=1e-5)
    assert scores["lpips_squeeze_untrained"] > 0 and scores["style_squeezenet_untrained"] > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere", "fake"], "nowhere does not exist"),
        (["empty", "fake"], "empty holds no pictures"),
        (
            ["few", "fake", "--metrics", "recall"],
            "recall_untrained needs at least 4 pictures on either side; there are 3",
        ),
        (["large", "fake"], "large and fake hold pictures of 2 sizes"),
        (["broken", "fake"], "broken/1.png is not a picture that can be read"),
        (["real", "fake", "--features", "inseption"], "did you mean inception?"),
        (["real", "fake", "--metrics", "fod"], "metrics=fod is unknown (did you mean fid?)"),
        (["real", "fake", "--weights", "x.pth"], "features of untrained are made without any"),
        (["real", "fake", "--features", "vgg16", "--weights", "x.pth"], "there is no such file"),
        (
            ["real", "few", "--metrics", "l1"],
            "and 3 is in only one of real and few, like 4 others",
        ),
        (
            ["real", "fake", "--metrics", "lpips_squeeze", "--weights", "random"],
            "at least 17 pixels a side; they have 16",
        ),
        (["real", "fake", "--size", "0"], "--size=0: at least 8 is expected"),
        (["real", "fake", "--json", "empty"], "--json empty: a folder; give a file's name"),
        (["real", "fake", "--json", "broken/1.png/scores.json"], "--json broken/1.png/scores.json cannot be written"),
        (
            ["real", "fake", "--size", "8", "--metrics", "ms_ssim"],
            "ms_ssim needs pictures of at least 11 pixels a side",
        ),
        (["real"], "the following arguments are required: FAKE"),
    ],
)
def test_mistakes_are_sentences(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    for name, count, size in (("real", 8, 16), ("fake", 8, 16), ("few", 3, 16), ("large", 8, 24), ("broken", 8, 16)):
        folder(name, 0, count, size)
    Path("broken/1.png").write_text("not a picture")
    assert run(["score", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_scores_that_are_no_number_are_null_in_a_folder_that_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    folder("real", 0)
    assert run(["score", "real", "real", "--metrics", "psnr", "--json", "new/below/scores.json"]) == 0
    assert json.loads(Path("new/below/scores.json").read_text())["metrics"] == {"psnr": None}
    monkeypatch.setattr("stylegan_lab.cli.score._metrics", None)
    assert run(["score", "real", "real", "--json", "real"]) == 2, "told before anything is read"


def test_pictures_of_several_sizes_are_scored_at_the_one_that_is_said() -> None:
    folder("real", 0), folder("fake", 1, size=32)
    assert run(["score", "real", "fake", "--size", "16", "--metrics", "fid", "--json", "scores.json"]) == 0
    assert json.loads(Path("scores.json").read_text())["size"] == "16x16"
