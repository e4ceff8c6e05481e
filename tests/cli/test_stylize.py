"""`stylize`: optimization records a run; a trained network needs one forward pass."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegan_lab.cli import parsers
from stylegan_lab.cli.main import run
from stylegan_lab.cli.stylize import build_perceptual_loss
from stylegan_lab.images.image_io import read_image
from stylegan_lab.networks.features.squeezenet import squeezenet
from stylegan_lab.runs.metrics_file import read_metrics
from tests.refusals import assert_refused


@pytest.fixture(autouse=True)
def images() -> None:
    Image.effect_noise((50, 38), 60).convert("RGB").save("photo.png")
    Image.linear_gradient("L").convert("RGB").save("style.png")
    Image.radial_gradient("L").convert("RGB").save("other.png")


OPTIMIZE = [
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


def test_optimization_records_each_iteration_and_samples_in_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stylegan_lab.console.SECONDS_BETWEEN_LINES", -1)
    assert run(OPTIMIZE) == 0
    assert read_image(Path("out/print.png")).shape == (3, 30, 40)
    (folder,) = Path("runs/stylize").iterdir()
    rows = read_metrics(folder / "metrics.jsonl")
    assert [row["iteration"] for row in rows] == list(range(1, 21))
    assert rows[-1]["loss/style"] < rows[0]["loss/style"]
    assert len(list((folder / "samples").glob("*.png"))) == 10
    assert "style: style.png" in (folder / "config.yaml").read_text()
    assert json.loads((folder / "environment.json").read_text())["versions"]["torch"]
    assert "optimizing  20 of 20  content" in capsys.readouterr().err


def test_colors_can_be_preserved() -> None:
    assert run([*OPTIMIZE, "--preserve-color", "--optimizer", "adam", "--init", "noise"]) == 0
    image = read_image(Path("out/print.png"))
    assert float((image[0] - image[2]).abs().max()) < 0.02, "the photo is gray"


def test_weights_may_have_any_path_and_layers_any_weights(capsys: pytest.CaptureFixture[str]) -> None:
    weights = Path("ordner mit, komma") / "größe=[1] 'x'.pth"
    weights.parent.mkdir()
    torch.save(squeezenet("random").net.state_dict(), weights)
    command = [*OPTIMIZE, "--iterations", "2", "--features", "squeezenet", "--weights", str(weights)]
    assert run(command) == 0
    assert "fire4 " in capsys.readouterr().out
    (folder,) = Path("runs/stylize").iterdir()
    assert "mean activations" in (folder / "log.txt").read_text()
    assert run([*command, "--style-layers", "fire2=3,relu1", "--content-layers", "fire6"]) == 0
    assert "fire6 " in (printed := capsys.readouterr().out) and "fire4" not in printed


def test_style_layers_replace_those_of_the_features() -> None:
    arguments = ["a.png", "b.png", "c.png", "--features", "lpips_squeeze", "--weights", "random"]
    given = parsers.stylize([*arguments, "--style-layers", "fire2=3,relu1", "--content-layers", "fire6"])
    perception = build_perceptual_loss(given)
    assert perception.style_layers == {"fire2": 3.0, "relu1": 1.0} and perception.content_layers == {"fire6": 1.0}
    own = build_perceptual_loss(parsers.stylize(arguments))
    assert list(own.style_layers) == ["relu1", "fire2", "fire4", "fire6"] and len(own.content_layers) == 7


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("trained")
    settings = [
        "logger=none",
        "evaluate=false",
        "iterations=2",
        "callbacks=default",
        "callbacks.samples=null",
        "callbacks.validation=null",
    ]
    adain = ["model=adain", "generator=adain_decoder", "generator.width=0.1"]
    assert run(["train", "experiment=smoke", *adain, f"output_dir={folder}/adain", *settings]) == 0
    assert run(["train", "experiment=smoke", f"output_dir={folder}/cyclegan", *settings]) == 0
    return str(folder)


def test_a_trained_network_stylizes_at_any_alpha_and_with_several_styles(trained: str) -> None:
    command = ["stylize", "photo.png", "style.png,other.png", "out.png", "--run", f"{trained}/adain", "--size", "50"]
    assert run(command) == 0
    assert read_image(Path("out.png")).shape == (3, 38, 50)
    assert run([*command, "--alpha", "0.5", "--interpolation-weights", "0.3,0.7"]) == 0
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["nowhere.png", "style.png", "out.png"], "image.not_found", "nowhere.png"),
        (["photo.png", "style.png,other.png", "out.png", "--features", "untrained"], "stylize.run_needed", "--run RUN"),
        (["photo.png", "style.png", "out.png", "--features", "vgg"], "cli.unknown_choice", "--features=vgg "),
        (["photo.png", "style.png", "out.png", "--iterations", "0"], "cli.too_small", "--iterations=0"),
        (["photo.png", "style.png", "out.png", "--lr-mult", "0"], "cli.too_small", "--lr-mult=0.0"),
        (["photo.png", "style.png", "out.png", "--tv-weight", "-1"], "cli.too_small", "--tv-weight=-1.0"),
        (["photo.png", "style.png", "out.png", "--alpha", "0.5"], "stylize.run_needed", "--alpha"),
        (
            ["photo.png", "style.png", "out.png", "--weights", "nowhere.pth"],
            "weights.not_found",
            "nowhere.pth",
        ),
        (
            ["photo.png", "style.png", "out.png", "--features", "colors", "--style-layers", "ful"],
            "config.unknown_choice",
            "did you mean full?",
        ),
        (
            ["photo.png", "style.png", "out.png", "--features", "colors", "--style-layers", "full=x"],
            "cli.not_a_number",
            "--style-layers full=x",
        ),
        (
            ["photo.png", "style.png", "out.png", "--run", "TRAINED/cyclegan"],
            "stylize.fixed_style_model",
            "cyclegan is a CycleGAN",
        ),
        (
            ["photo.png", "style.png", "out.png", "--run", "TRAINED/adain", "--interpolation-weights", "1,2"],
            "stylize.wrong_weight_count",
            "--interpolation-weights 1,2: 2 weights for 1 styles",
        ),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], code: str, named: str, trained: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["stylize", *(argument.replace("TRAINED", trained) for argument in arguments)]) == 2
    assert_refused(capsys.readouterr().err, code, named)
