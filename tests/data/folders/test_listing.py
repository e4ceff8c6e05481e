import os
import sys
from pathlib import Path

import pytest

from stylegan_lab.data.folders.listing import images_below, relative_name
from stylegan_lab.images.open_image import display_name
from tests.refusals import refused


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path) -> list[str]:
    return [relative_name(folder, path) for path in images_below(folder)]


def test_images_at_any_depth_are_sorted_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "a.jpeg", "sub/deep/c.TiF", "notes.txt", "Thumbs.db", "without_suffix")
    assert names(tmp_path) == ["a.jpeg", "b.PNG", "sub/deep/c.TiF"]


def test_hidden_files_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "._a.png", ".cache/b.png", ".DS_Store")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_loop_of_links_is_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "sub/b.png")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "sub")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert names(tmp_path) == ["a.png", "sub/b.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_broken_link_is_listed(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert names(tmp_path) == ["gone.png"]


def test_a_folder_with_an_image_suffix_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "holiday.jpg/a.png")
    assert names(tmp_path) == ["holiday.jpg/a.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such names cannot be made")
def test_names_in_any_script_or_invalid_encoding_are_kept_and_printable(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    os.close(os.open(raw, os.O_CREAT))
    touch(tmp_path, "浮世絵.jpg", "Ünïcödé 😀.png", "with\nnewline.png")
    found = images_below(tmp_path)
    assert len(found) == 4 and all(path.exists() for path in found)
    for path in found:
        display_name(path).encode("utf-8")


def test_missing_folders_are_errors(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    with refused("data.folder_missing", "nowhere"):
        images_below(tmp_path / "nowhere")
    with refused("data.not_a_folder", "a.png"):
        images_below(tmp_path / "a.png")
