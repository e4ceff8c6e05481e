"""Every variant from its command: trained for a moment, and then applied."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.images.read import read_picture

SMALL = [
    "experiment=smoke", "logger=none", "evaluate=false", "iterations=2", "translator.channels=2", "critic.channels=2",
    "decoder.width=0.1", "callbacks.scoring=null", "callbacks.samples=null", "output_dir=run",
]  # fmt: skip
MODELS = ["cyclegan", "pix2pix", "cut", "fastcut", "multidomain", "stargan2", "perceptual", "johnson", "adain"]
GENERATORS = ["gan", "dcgan", "wgan", "wgan_gp", "sngan", "cgan"]
SUPERRES = ["model=perceptual", "model.paired=true", "data=scenes_superres", "translator=upscaler_small"]


@pytest.fixture(autouse=True)
def pictures() -> None:
    Image.effect_noise((50, 38), 60).convert("RGB").save("photo.png")
    Image.linear_gradient("L").convert("RGB").save("style.png")


def same(one: str, other: str) -> bool:
    return bool((read_picture(Path(one)) == read_picture(Path(other))).all())


@pytest.mark.parametrize("model", MODELS)
def test_every_variant_trains_and_translates(model: str) -> None:
    assert run(["train", *SMALL, f"model={model}"]) == 0
    assert run(["translate", "run", "photo.png", "out.png"]) == 0
    assert read_picture(Path("out.png")).shape == (3, 38, 50)


@pytest.mark.parametrize("model", GENERATORS)
def test_every_generator_trains_and_generates(model: str) -> None:
    assert run(["train", *SMALL, f"model={model}", "data.size=16"]) == 0
    assert run(["generate", "run", "grid.png", "--n", "4"]) == 0
    side = 2 * 16 + 2
    assert read_picture(Path("grid.png")).shape[1:] == (side, side)


def test_a_class_is_asked_for_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, "model=cgan", "data=scenes_labelled", "data.size=16"]) == 0
    for name, options in {
        "ink.png": ["--class", "ink"], "two.png": ["--class", "2"], "sketch.png": ["--class", "sketch"],
    }.items():  # fmt: skip
        assert run(["generate", "run", name, "--n", "1", *options]) == 0
    assert same("ink.png", "two.png") and not same("ink.png", "sketch.png")
    assert run(["generate", "run", "no.png", "--class", "inkk"]) == 2
    assert "did you mean ink?" in capsys.readouterr().err


def test_a_folder_is_translated_past_what_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL]) == 0
    Path("in").mkdir()
    for name in ("a.png", "c.png"):
        Image.new("RGB", (32, 32)).save(Path("in") / name)
    Path("in/b.png").write_bytes(b"no picture")
    assert run(["translate", "run", "in", "out"]) == 2
    assert "b.png is not a picture that can be read" in (told := capsys.readouterr().err)
    assert "2 of 3 are translated" in told and sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]


def test_a_mistake_is_told_in_our_words_alone() -> None:
    command = [sys.executable, "-m", "stylegan_lab", "train", "data=unpaired", "data.root=nowhere", "dry_run=true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "stylegan-lab: nowhere does not exist\n"


@pytest.mark.parametrize("factor", [2, 4])
def test_super_resolution_makes_pictures_larger(factor: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, *SUPERRES, f"data.factor={factor}", "evaluate=true"]) == 0
    assert "untranslated" in capsys.readouterr().out
    assert run(["translate", "run", "photo.png", "out.png"]) == 0
    assert read_picture(Path("out.png")).shape == (3, 38 * factor, 50 * factor)


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        (
            ["translator=upscaler_small"],
            "super-resolution takes translator=upscaler with data=superres or scenes_superres",
        ),
        ([*SUPERRES[:3], "translator=resnet_tiny"], "makes pictures 1 times as large, and data=scenes_superres"),
        ([*SUPERRES, "translator.factor=4"], "give translator.factor=2"),
        ([*SUPERRES, "model.paired=false"], "give model.paired=true"),
        ([*SUPERRES, "data.factor=3"], "data.size=32 is no multiple of data.factor=3"),
    ],
)
def test_enlarging_nets_and_data_must_belong_together(
    settings: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", *SMALL, *settings]) == 2
    assert answer in " ".join(capsys.readouterr().err.split())


def test_a_run_of_many_domains_goes_to_each_and_after_references(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, "model=stargan2", "translator=stargan2_small", "translator.channels=2"]) == 0
    for name, options in {
        "usual.png": [], "named.png": ["--to", "ukiyoe"], "ink.png": ["--to", "ink"],
        "like.png": ["--to", "ink", "--reference", "style.png"], "again.png": ["--to", "ink", "--reference", "style.png"],
    }.items():  # fmt: skip
        assert run(["translate", "run", "photo.png", name, *options]) == 0
    assert capsys.readouterr().err.count("to ukiyoe; --to goes elsewhere: photo, ink, sketch") == 1
    assert same("usual.png", "named.png") and same("like.png", "again.png")
    assert not same("usual.png", "ink.png") and not same("ink.png", "like.png")


def test_references_are_for_runs_that_can_follow_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", *SMALL, "model=adain"]) == 0
    assert run(["translate", "run", "photo.png", "out.png", "--reference", "style.png"]) == 0
    assert run(["translate", "run", "photo.png", "out.png", "--reference", "none.png"]) == 2
    assert "none.png" in capsys.readouterr().err
    assert run(["train", *SMALL[:-1], "output_dir=other", "model=multidomain"]) == 0
    assert run(["translate", "other", "photo.png", "out.png", "--reference", "style.png"]) == 2
    assert "a Multidomain takes no reference picture; runs of stargan2 and adain do" in capsys.readouterr().err
