"""Pictures in and out: nothing lost to 8 bits, every mode read as a person sees it, every mistake a sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan_lab.images.batch import Labelled, Pair, Plain, Unpaired, serves
from stylegan_lab.images.convert import from_bytes, to_bytes, to_unit
from stylegan_lab.images.grid import GAP, grid
from stylegan_lab.images.read import picture_files, read_picture
from stylegan_lab.images.write import write_picture
from stylegan_lab.mistake import Mistake

BYTES = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).expand(3, 16, 16).contiguous()


def test_bytes_survive_the_way_to_floats_and_back() -> None:
    assert torch.equal(to_bytes(from_bytes(BYTES)), BYTES)
    assert from_bytes(BYTES).min() == -1 and from_bytes(BYTES).max() == 1


def test_floats_beyond_the_range_are_clipped_and_rounded() -> None:
    assert to_bytes(torch.tensor([-9.0, 9.0, 0.0])).tolist() == [0, 255, 128]


def test_a_saved_picture_reads_back_as_the_scores_saw_it(tmp_path: Path) -> None:
    image = torch.rand(3, 9, 7) * 2 - 1
    read = read_picture(write_picture(image, tmp_path / "a" / "b.png"))
    assert torch.equal(to_unit(read), to_unit(image))


def test_nothing_half_written_is_left_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown file extension"):
        write_picture(torch.zeros(3, 4, 4), tmp_path / "a.nothing")
    assert list(tmp_path.iterdir()) == []


def saved(tmp_path: Path, picture: Image.Image, suffix: str = ".png", **options: object) -> Path:
    path = tmp_path / f"p{suffix}"
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [("RGB", (255, 0, 0), (255, 0, 0)), ("L", 100, (100, 100, 100)), ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
     ("RGBA", (0, 0, 0, 255), (0, 0, 0)), ("LA", (0, 0), (255, 255, 255)),
     ("1", 1, (255, 255, 255)), ("I;16", 25700, (100, 100, 100))],
)  # fmt: skip
def test_every_mode_is_read_as_it_looks(tmp_path: Path, mode: str, value: object, expected: tuple[int, ...]) -> None:
    if mode == "I;16":
        picture = Image.fromarray(np.full((4, 4), value, dtype=np.uint16))
    else:
        picture = Image.new(mode, (4, 4), value)  # type: ignore[arg-type]
    assert to_bytes(read_picture(saved(tmp_path, picture)))[:, 0, 0].tolist() == list(expected)


def test_a_palette_and_cmyk_are_read(tmp_path: Path) -> None:
    red = Image.new("RGB", (8, 8), (204, 0, 0))
    assert to_bytes(read_picture(saved(tmp_path, red.convert("P"), ".gif")))[:, 0, 0].tolist() == [204, 0, 0]
    assert read_picture(saved(tmp_path, red.convert("CMYK"), ".jpg")).shape == (3, 8, 8)


def test_a_camera_s_orientation_is_honoured(tmp_path: Path) -> None:
    lying = Image.new("RGB", (8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    assert read_picture(saved(tmp_path, lying, ".jpg", exif=exif)).shape == (3, 8, 4)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(Mistake, match="broken.png"):
        read_picture(path)


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.effect_noise((64, 64), 50).convert("RGB"))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(Mistake, match=r"p\.png cannot be read"):
        read_picture(path)


def test_folders_are_searched_deeply_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.png", "a/c.JPG", ".hidden.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in picture_files(tmp_path)] == ["a/c.JPG", "b.png"]


def test_a_grid_has_a_row_for_each_batch() -> None:
    assert grid([torch.zeros(3, 3, 8, 8)] * 2).shape == (3, 16 + GAP, 24 + 2 * GAP)


def test_a_pair_serves_as_unpaired_and_not_the_other_way_round() -> None:
    assert serves(Pair, Unpaired) and serves(Labelled, Plain) and serves(Pair, Pair)
    assert not serves(Unpaired, Pair) and not serves(Plain, Unpaired)
