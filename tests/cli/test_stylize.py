"""`stylize`: a painting leaves a run behind it, a trained net does without."""

import json
from pathlib import Path

import pytest
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.images.read import read_picture
from stylegan_lab.loggers.record import read_record


@pytest.fixture(autouse=True)
def pictures() -> None:
    Image.effect_noise((50, 38), 60).convert("RGB").save("photo.png")
    Image.linear_gradient("L").convert("RGB").save("style.png")
    Image.radial_gradient("L").convert("RGB").save("other.png")


PAINT = [
    "stylize",
    "photo.png",
    "style.png",
    "out/print.png",
    "--size",
    "40",
    "--features",
    "untrained",
    "--iterations",
    "20",
]


def test_a_painting_is_a_run_with_a_record_of_each_iteration_and_samples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stylegan_lab.progress.EVERY", -1)
    assert run(PAINT) == 0
    assert read_picture(Path("out/print.png")).shape == (3, 30, 40)
    (folder,) = Path("runs/stylize").iterdir()
    rows = read_record(folder / "metrics.jsonl")
    assert [row["iteration"] for row in rows] == list(range(1, 21))
    assert rows[-1]["loss/style"] < rows[0]["loss/style"]
    assert len(list((folder / "samples").glob("*.png"))) == 10
    assert "style: style.png" in (folder / "config.yaml").read_text()
    assert json.loads((folder / "environment.json").read_text())["versions"]["torch"]
    assert "painting  20 of 20  content" in capsys.readouterr().err


def test_colours_can_be_kept() -> None:
    assert run([*PAINT, "--keep-colours", "--painter", "adam", "--start", "noise"]) == 0
    grey = read_picture(Path("out/print.png"))
    assert float((grey[0] - grey[2]).abs().max()) < 0.02, "the photo is grey"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("trained")
    settings = [
        "logger=none",
        "evaluate=false",
        "iterations=2",
        "callbacks=default",
        "callbacks.samples=null",
        "callbacks.scoring=null",
    ]
    assert run(["train", "experiment=smoke", "model=adain", f"output_dir={folder}/adain", *settings]) == 0
    assert run(["train", "experiment=smoke", f"output_dir={folder}/cyclegan", *settings]) == 0
    return str(folder)


def test_a_trained_net_does_it_in_one_pass_at_any_strength_and_with_several_styles(trained: str) -> None:
    net = ["stylize", "photo.png", "style.png,other.png", "out.png", "--run", f"{trained}/adain", "--size", "50"]
    assert run(net) == 0
    assert read_picture(Path("out.png")).shape == (3, 38, 50)
    assert run([*net, "--strength", "0.5", "--shares", "0.3,0.7"]) == 0
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.png", "style.png", "out.png"], "nowhere.png does not exist"),
        (["photo.png", "style.png,other.png", "out.png", "--features", "untrained"], "a painting has one style"),
        (["photo.png", "style.png", "out.png", "--features", "vgg"], "--features=vgg is unknown"),
        (["photo.png", "style.png", "out.png", "--iterations", "0"], "--iterations=0"),
        (["photo.png", "style.png", "out.png", "--weights", "nowhere.pth"], "there is no such file; give imagenet"),
        (
            ["photo.png", "style.png", "out.png", "--run", "TRAINED/cyclegan"],
            "is a CycleGAN, which knows its styles already",
        ),
        (["photo.png", "style.png", "out.png", "--run", "TRAINED/adain", "--shares", "1,2"], "are 2 for 1 styles"),
    ],
)
def test_mistakes_are_answered(
    arguments: list[str], sentence: str, trained: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stylize", *(argument.replace("TRAINED", trained) for argument in arguments)]) == 2
    assert sentence in capsys.readouterr().err
