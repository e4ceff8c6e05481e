import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stylegan_lab.cli.main import run
from tests.data.folders.photos import photo, photos
from tests.refusals import assert_refused

SMALL = ["data.size=16", "data.num_workers=0", "data.cache_dir=cache"]


def test_a_preview_shows_training_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        photo(tmp_path / "pairs" / f"{number}.png", 9, (16, 16), right=99)
    command = [
        "data",
        "preview",
        "data=paired",
        "data.root=pairs",
        "--out",
        "samples.png",
        "--count",
        "3",
        "augment=none",
        *SMALL,
    ]
    assert run(command) == 0
    with Image.open("samples.png") as image:
        assert image.size == (3 * 16 + 4, 2 * 16 + 2)
        assert image.getpixel((8, 8)) == (9, 4, 246) and image.getpixel((8, 26)) == (99, 99, 99)
    assert "(rows: a 16x16, 3 channels, b 16x16, 3 channels)" in capsys.readouterr().out


@pytest.mark.parametrize("channels", [1, 4])
def test_previews_in_other_channels(tmp_path: Path, channels: int) -> None:
    photos(tmp_path / "photos", 4)
    assert run(["data", "preview", "data=flat", "data.root=photos", f"data.channels={channels}", *SMALL]) == 0
    with Image.open("preview.png") as image:
        assert image.mode == {1: "L", 4: "RGBA"}[channels]


def test_prepared_images_are_not_decoded_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos(tmp_path / "photos", 8)
    assert run(["data", "prepare", "data=auto", "data.root=photos", *SMALL]) == 0
    assert "cache      cache/photos-" in capsys.readouterr().out
    before = {file: file.stat().st_mtime_ns for file in Path("cache").glob("*/*")}
    assert run(["data", "preview", "data=flat", "data.root=photos", *SMALL]) == 0
    assert before == {file: file.stat().st_mtime_ns for file in Path("cache").glob("*/*")}


def test_invalid_arguments_are_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "prepare", "data=scenes_paired"]) == 2
    assert_refused(capsys.readouterr().err, "data.nothing_to_prepare", "ScenesDataModule")
    assert run(["data", "preview", "data.rot=x", "data=flat"]) == 2
    assert_refused(capsys.readouterr().err, "config.unknown_setting", "data.rot ", "did you mean data.root?")
    assert run(["data", "preview", "--count", "0"]) == 2
    assert_refused(capsys.readouterr().err, "cli.too_small", "--count=0", "at least 1")
    assert run(["data", "chek", "photos"]) == 2
    assert_refused(capsys.readouterr().err, "cli.unknown_command", "chek", "did you mean check?")
    assert run(["data", "list", "facade"]) == 2
    assert_refused(capsys.readouterr().err, "download.unknown_dataset", "facade ", "did you mean facades?")


def test_the_help_imports_neither_torch_nor_lightning() -> None:
    code = (
        "import sys; from stylegan_lab.cli.main import run; run(['data', '--help']); "
        "sys.exit(bool({'torch', 'lightning'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("settings", [["data=unpaired", "data.a=pics/a", "data.b=pics/b"], ["pics/a", "pics/b"]])
def test_check_reads_the_folders_that_settings_name(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        Path("pics", name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((48, 40), 80).convert("RGB").save(Path("pics", name))
    assert run(["data", "check", *settings, "--json"]) in (0, 1)
    reports = json.loads(capsys.readouterr().out)
    assert [report["root"] for report in reports] == ["pics/a", "pics/b"]
    assert run(["data", "check", "data=auto", "data.root=pics", "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["root"] == "pics"


def test_check_refuses_settings_without_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", "data=scenes_unpaired"]) == 2
    assert_refused(capsys.readouterr().err, "data.root_not_set", "data.root=DIR")
    assert run(["data", "check", "data=unparied"]) == 2
    assert_refused(capsys.readouterr().err, "config.unknown_choice", "data=unparied")
