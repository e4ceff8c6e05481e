"""`generate`: every generative model is trained briefly and then sampled."""

from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.images.image_io import read_image
from tests.refusals import assert_refused

SMALL = [
    "experiment=smoke_generation", "logger=none", "evaluate=false", "iterations=2", "data.size=16", "generator.max_channels=8",
    "discriminator.max_channels=8", "callbacks.validation=null", "callbacks.samples=null", "output_dir=run",
]  # fmt: skip
TINY = [
    "experiment=smoke_generation", "logger=none", "evaluate=false", "iterations=2", "generator.channels=2",
    "discriminator.channels=2",
    "callbacks.validation=null", "callbacks.samples=null", "output_dir=run",
]  # fmt: skip
MODELS = ["gan", "dcgan", "wgan", "wgan_gp", "sngan", "cgan"]


def images_are_equal(one: str, other: str) -> bool:
    return bool((read_image(Path(one)) == read_image(Path(other))).all())


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_generates(model: str) -> None:
    assert run(["train", *TINY, f"model={model}", "data.size=16"]) == 0
    assert run(["generate", "run", "grid.png", "--n", "4"]) == 0
    side = 2 * 16 + 2
    assert read_image(Path("grid.png")).shape[1:] == (side, side)


def test_a_class_is_chosen_by_name_or_index(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *TINY, "model=cgan", "data=scenes_labelled", "data.size=16"]) == 0
    for name, options in {
        "ink.png": ["--class", "ink"], "two.png": ["--class", "2"], "sketch.png": ["--class", "sketch"],
    }.items():  # fmt: skip
        assert run(["generate", "run", name, "--n", "1", *options]) == 0
    assert images_are_equal("ink.png", "two.png") and not images_are_equal("ink.png", "sketch.png")
    assert run(["generate", "run", "no.png", "--class", "inkk"]) == 2
    assert_refused(capsys.readouterr().err, "cli.unknown_choice", "--class=inkk", "did you mean ink?")


def test_progan_grows_and_generates(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, "model=progan", "model.stable_images=1", "model.fade_images=1"]) == 0
    assert run(["generate", "run", "grid.png", "--n", "4"]) == 0
    assert read_image(Path("grid.png")).shape[1] > 32
    for times, n in enumerate([3, 3, 4]):
        assert run(["generate", "run", "folder", "--n", str(n)]) == 0, times
    errors = {
        "generate run folder --n 3": ("generate.folder_in_use", "folder", "000003.png"),
        "generate run walk.gif --n 1 --interpolate 4": ("cli.too_small", "--n=1", "--interpolate"),
    }
    for command, (code, *named) in errors.items():
        assert run(command.split()) == 2
        assert_refused(capsys.readouterr().err, code, *named)
    assert run(["translate", "run", "grid.png", "out.png"]) == 2
    assert_refused(capsys.readouterr().err, "translate.generation_model", "run is a ProGAN", "stylegan-lab generate")


def test_stylegan2_generates_with_truncation_and_style_mixing() -> None:
    assert run(["train", *SMALL, "model=stylegan2", "generator.w_dim=8", "latents.size=8"]) == 0
    for name, options in {
        "plain": [], "again": ["--truncation", "1"], "near": ["--truncation", "0.7"], "mixed": ["--style-mixing"],
        "average": ["--truncation", "0"],
    }.items():  # fmt: skip
        assert run(["generate", "run", name, "--n", "4", *options]) == 0
    images = {path: read_image(Path(path)) for path in _image_paths("plain", "again", "near", "mixed", "average")}
    assert (images["plain/000001.png"] == images["again/000001.png"]).all()
    assert (images["plain/000001.png"] != images["near/000001.png"]).any()
    assert (images["plain/000001.png"] != images["mixed/000001.png"]).any()
    assert run(["generate", "run", "first", "--n", "1", "--style-mixing"]) == 0
    assert (images["mixed/000000.png"] == read_image(Path("first/000000.png"))).all()
    assert (images["average/000001.png"] == images["average/000002.png"]).all()
    assert run(["generate", "run", "walk.gif", "--n", "2", "--interpolate", "2"]) == 0
    assert Path("walk.gif").stat().st_size > 0


def _image_paths(*folders: str) -> list[str]:
    return [f"{folder}/{index:06d}.png" for folder in folders for index in range(4)]
