from pathlib import Path

import pytest
from PIL import Image

from stylegan_lab.cli.main import run
from tests.data.folders.photos import photo, photos

SMALL = ["data.size=16", "data.workers=0", "data.cache_dir=cache"]


def test_a_preview_shows_what_a_net_will_see(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        photo(tmp_path / "pairs" / f"{number}.png", 9, (16, 16), right=99)
    command = [
        "data",
        "preview",
        "data=paired",
        "data.root=pairs",
        "--out",
        "seen.png",
        "--count",
        "3",
        "augment=none",
        *SMALL,
    ]
    assert run(command) == 0
    with Image.open("seen.png") as picture:
        assert picture.size == (3 * 16 + 4, 2 * 16 + 2)
        assert picture.getpixel((8, 8)) == (9, 4, 246) and picture.getpixel((8, 26)) == (99, 99, 99)
    assert "(rows: a 16x16, 3 channels, b 16x16, 3 channels)" in capsys.readouterr().out


@pytest.mark.parametrize("channels", [1, 4])
def test_previews_in_other_channels(tmp_path: Path, channels: int) -> None:
    photos(tmp_path / "photos", 4)
    assert run(["data", "preview", "data=flat", "data.root=photos", f"data.channels={channels}", *SMALL]) == 0
    with Image.open("preview.png") as picture:
        assert picture.mode == {1: "L", 4: "RGBA"}[channels]


def test_what_is_prepared_needs_no_decoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos(tmp_path / "photos", 8)
    assert run(["data", "prepare", "data=auto", "data.root=photos", *SMALL]) == 0
    assert "cache      cache/photos-" in capsys.readouterr().out
    before = {file: file.stat().st_mtime_ns for file in Path("cache").glob("*/*")}
    assert run(["data", "preview", "data=flat", "data.root=photos", *SMALL]) == 0
    assert before == {file: file.stat().st_mtime_ns for file in Path("cache").glob("*/*")}


def test_mistakes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "prepare", "data=scenes_paired"]) == 2
    assert "reads no files, so there is nothing to prepare" in capsys.readouterr().err
    assert run(["data", "preview", "data.rot=x", "data=flat"]) == 2
    assert "data.rot is no setting (did you mean data.root?)" in capsys.readouterr().err
    assert run(["data", "preview", "--count", "0"]) == 2
    assert "--count=0: at least 1" in capsys.readouterr().err
