"""`score`: metrics between two folders, without a run."""

import json
from pathlib import Path

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.feature_extractors import untrained_vgg16
from stylegan_lab.evaluation.feature_metrics import FEATURE_COMPARISONS, feature_metrics
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.images.image_io import write_image
from stylegan_lab.images.value_range import to_unit
from tests.refusals import assert_refused


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))
    untrained_vgg16.cache_clear()
    return tmp_path / "cache"


def folder(name: str, seed: int, count: int = 8, size: int = 16, suffix: str = "png") -> torch.Tensor:
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    for number, image in enumerate(images):
        write_image(image, Path(name) / f"{number}.{suffix}")
    return to_unit(images)


def test_scores_of_folders_equal_those_of_their_images(capsys: pytest.CaptureFixture[str]) -> None:
    real, fake = folder("real", 0), folder("fake/below", 1)
    assert run(["score", "real", "fake", "--json", "scores.json", "--batch-size", "3"]) == 0
    document = json.loads(Path("scores.json").read_text())
    expected = {
        name: metric(fake, real)
        for name, metric in feature_metrics(untrained_vgg16(), list(FEATURE_COMPARISONS)).items()
    }
    assert document["metrics"] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert document["real"]["n"] == document["fake"]["n"] == 8 and document["size"] == "16x16"
    assert untrained_vgg16().sha256 in document["protocol"]["fid_untrained"]
    table = capsys.readouterr().out
    assert "fid_untrained ↓" in table and "8 images compared with 8 real images, 16x16" in table


def test_a_folder_has_no_distance_to_itself_in_any_file_format() -> None:
    folder("real", 0, 6), folder("again", 0, 6, suffix="bmp")
    names = "fid,precision,coverage,sliced_wasserstein"
    assert run(["score", "real", "again", "--metrics", names, "--json", "scores.json"]) == 0
    scores = json.loads(Path("scores.json").read_text())["metrics"]
    assert scores == pytest.approx(
        {"sliced_wasserstein": 0, "fid_untrained": 0, "precision_untrained": 1, "coverage_untrained": 1}, abs=1e-6
    )


def test_features_of_known_folders_are_read_from_the_cache(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    folder("real", 0), folder("fake", 1)
    assert run(["score", "real", "fake", "--json", "once.json"]) == 0
    untrained_vgg16.cache_clear()  # like another process
    monkeypatch.setattr("stylegan_lab.cli.score.read_image", None)
    assert run(["score", "real", "fake", "--json", "again.json"]) == 0
    assert Path("once.json").read_text() == Path("again.json").read_text() and any(cache.rglob("*.pt"))


def test_paired_metrics_compare_images_of_the_same_name() -> None:
    real, fake = folder("real", 0, 3, 24), folder("fake", 1, 3, 24)
    Path("fake/0.png").rename("fake/0.PNG")
    names = "psnr,ssim,lpips_squeeze,style_squeezenet"
    assert run(["score", "real", "fake", "--metrics", names, "--weights", "random", "--json", "scores.json"]) == 0
    scores = json.loads(Path("scores.json").read_text())["metrics"]
    assert scores["psnr"] == pytest.approx(METRICS["psnr"].compute(fake, real), rel=1e-5)
    assert scores["lpips_squeeze_untrained"] > 0 and scores["style_squeezenet_untrained"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["nowhere", "fake"], "data.folder_missing", "nowhere"),
        (["empty", "fake"], "data.no_images", "empty"),
        (
            ["few", "fake", "--metrics", "recall"],
            "evaluation.too_few_images",
            "recall_untrained needs at least 4 images",
        ),
        (["large", "fake"], "evaluation.image_sizes_differ", "large and fake"),
        (["broken", "fake"], "data.unreadable_images", "broken/1.png"),
        (["real", "fake", "--features", "inseption"], "cli.unknown_choice", "did you mean inception?"),
        (["real", "fake", "--metrics", "fod"], "config.unknown_choice", "metrics=fod is unknown (did you mean fid?)"),
        (["real", "fake", "--weights", "x.pth"], "evaluation.weights_not_used", "--features untrained"),
        (["real", "fake", "--features", "vgg16", "--weights", "x.pth"], "weights.not_found", "x.pth"),
        (
            ["real", "fake", "--features", "squeezenet", "--weights", "other.pth"],
            "weights.network_mismatch",
            "other.pth",
        ),
        (
            ["real", "few", "--metrics", "l1"],
            "evaluation.image_names_differ",
            "3 is in only one of real and few, like 4 others",
        ),
        (
            ["real", "fake", "--metrics", "lpips_squeeze", "--weights", "random"],
            "evaluation.images_too_small",
            "at least 17x17 pixels",
        ),
        (["real", "fake", "--size", "0"], "cli.too_small", "--size=0: at least 8"),
        (["real", "fake", "--json", "empty"], "cli.output_is_folder", "--json empty"),
        (
            ["real", "fake", "--json", "broken/1.png/scores.json"],
            "cli.output_not_writable",
            "--json broken/1.png/scores.json",
        ),
        (
            ["real", "fake", "--size", "8", "--metrics", "ms_ssim"],
            "evaluation.images_too_small",
            "ms_ssim needs images of at least 11x11 pixels",
        ),
        (["real"], "cli.wrong_arguments", "FAKE"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], code: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    for name, count, size in (("real", 8, 16), ("fake", 8, 16), ("few", 3, 16), ("large", 8, 24), ("broken", 8, 16)):
        folder(name, 0, count, size)
    Path("broken/1.png").write_text("not an image")
    torch.save(torch.nn.Linear(2, 2).state_dict(), "other.pth")
    assert run(["score", *arguments]) == 2
    assert_refused(capsys.readouterr().err, code, named)


def test_infinite_scores_are_written_as_null(monkeypatch: pytest.MonkeyPatch) -> None:
    folder("real", 0)
    assert run(["score", "real", "real", "--metrics", "psnr", "--json", "new/below/scores.json"]) == 0
    assert json.loads(Path("new/below/scores.json").read_text())["metrics"] == {"psnr": None}
    monkeypatch.setattr("stylegan_lab.cli.score._build_metrics", None)
    assert run(["score", "real", "real", "--json", "real"]) == 2, "reported before anything is read"


def test_images_of_several_sizes_are_compared_at_a_given_size() -> None:
    folder("real", 0), folder("fake", 1, size=32)
    assert run(["score", "real", "fake", "--size", "16", "--metrics", "fid", "--json", "scores.json"]) == 0
    assert json.loads(Path("scores.json").read_text())["size"] == "16x16"


def test_a_half_of_images_that_show_pairs_is_scored(capsys: pytest.CaptureFixture[str]) -> None:
    left, right = folder("left", 0), folder("right", 1)
    for number, image in enumerate(torch.cat([left, right], 3)):
        write_image(image * 2 - 1, Path("pairs") / f"{number}.png")
    names = ["--metrics", "l1,fid", "--json", "scores.json"]
    assert run(["score", "left", "right", *names]) == 0
    expected = json.loads(Path("scores.json").read_text())["metrics"]
    for arguments in (
        ["pairs", "right", "--half", "left"],
        ["pairs", "pairs", "--half", "left", "--fake-half", "right"],
    ):
        assert run(["score", *arguments, *names]) == 0
        document = json.loads(Path("scores.json").read_text())
        assert document["metrics"] == pytest.approx(expected) and document["size"] == "16x16"
        assert document["real"]["half"] == "left"
    assert run(["score", "pairs", "pairs", "--half", "left", "--fake-half", "left", *names]) == 0
    assert json.loads(Path("scores.json").read_text())["metrics"]["l1"] == 0
    assert run(["score", "pairs", "right", *names]) == 2
    assert_refused(capsys.readouterr().err, "evaluation.image_sizes_differ", "pairs and right")
