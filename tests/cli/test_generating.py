"""Pictures from noise, from the commands: trained for a moment, and then asked for."""

from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.images.read import read_picture

SMALL = [
    "experiment=smoke", "logger=none", "evaluate=false", "iterations=2", "data.size=16", "generator.most_channels=8",
    "adversary.most_channels=8", "callbacks.scoring=null", "callbacks.samples=null", "output_dir=run",
]  # fmt: skip


def test_progan_grows_and_generates(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, "model=progan", "model.stable=1", "model.fading=1"]) == 0
    assert run(["generate", "run", "grid.png", "--n", "4"]) == 0
    assert read_picture(Path("grid.png")).shape[1] > 32
    for times, n in enumerate([3, 3, 4]):
        assert run(["generate", "run", "folder", "--n", str(n)]) == 0, times
    mistakes = {
        "generate run folder --n 3": "folder holds other pictures (000003.png); give a new folder",
        "generate run walk.gif --n 1 --interpolate 4": "--n=1: at least 2 is expected",
        "translate run grid.png out.png": "run is a ProGAN, which makes pictures of its own: stylegan-lab generate",
    }
    for command, answer in mistakes.items():
        assert run(command.split()) == 2
        assert answer in capsys.readouterr().err


def test_stylegan2_generates_mixes_and_truncates() -> None:
    assert run(["train", *SMALL, "model=stylegan2", "generator.style_size=8", "latents.size=8"]) == 0
    for name, options in {
        "plain": [], "again": ["--truncation", "1"], "near": ["--truncation", "0.7"], "mixed": ["--mix"],
        "average": ["--truncation", "0"],
    }.items():  # fmt: skip
        assert run(["generate", "run", name, "--n", "4", *options]) == 0
    picture = {path: read_picture(Path(path)) for path in _pictures("plain", "again", "near", "mixed", "average")}
    assert (picture["plain/000001.png"] == picture["again/000001.png"]).all()
    assert (picture["plain/000001.png"] != picture["near/000001.png"]).any()
    assert (picture["plain/000001.png"] != picture["mixed/000001.png"]).any()
    assert run(["generate", "run", "first", "--n", "1", "--mix"]) == 0
    assert (picture["mixed/000000.png"] == read_picture(Path("first/000000.png"))).all()
    assert (picture["average/000001.png"] == picture["average/000002.png"]).all()
    assert run(["generate", "run", "walk.gif", "--n", "2", "--interpolate", "2"]) == 0
    assert Path("walk.gif").stat().st_size > 0


def _pictures(*folders: str) -> list[str]:
    return [f"{folder}/{number:06d}.png" for folder in folders for number in range(4)]
