import os
import sys
from pathlib import Path

import pytest

from stylegan_lab.data.folders.listing import folders_in, name_in, pictures_below, pictures_in, shown
from stylegan_lab.mistake import Mistake


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path) -> list[str]:
    return [name_in(folder, path) for path in pictures_below(folder)]


def test_pictures_at_any_depth_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "a.jpeg", "sub/deep/c.TiF", "notes.txt", "Thumbs.db", "without_suffix")
    assert names(tmp_path) == ["a.jpeg", "b.PNG", "sub/deep/c.TiF"]
    assert [path.name for path in pictures_in(tmp_path)] == ["a.jpeg", "b.PNG"]


def test_what_is_hidden_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "._a.png", ".cache/b.png", ".DS_Store")
    assert names(tmp_path) == ["a.png"]
    assert folders_in(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_loop_of_links_is_entered_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "sub/b.png")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "sub")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert names(tmp_path) == ["a.png", "sub/b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_nowhere_is_listed_to_be_told_of(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert names(tmp_path) == ["gone.png"]


def test_a_folder_that_looks_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "holiday.jpg/a.png")
    assert names(tmp_path) == ["holiday.jpg/a.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such names cannot be made")
def test_names_in_any_script_and_with_no_valid_encoding_survive_and_can_be_printed(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    os.close(os.open(raw, os.O_CREAT))
    touch(tmp_path, "浮世絵.jpg", "Ünïcödé 😀.png", "with\nnewline.png")
    found = pictures_below(tmp_path)
    assert len(found) == 4 and all(path.exists() for path in found)
    for path in found:
        shown(path).encode("utf-8")


def test_missing_folders_are_told_of(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    with pytest.raises(Mistake, match="nowhere does not exist"):
        pictures_below(tmp_path / "nowhere")
    with pytest.raises(Mistake, match=r"a\.png is not a folder"):
        pictures_below(tmp_path / "a.png")
