"""Photographs: what is written is what is read, with alpha, 16 bits and profile."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageCms

from stylegan_lab.images.photograph import Photograph, encode_photograph, read_photograph, write_photograph
from tests.refusals import refused

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def levels(channels: int, deep: bool, height: int = 300, width: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if deep:
        return torch.randint(65536, (channels, height, width), generator=generator).double().div(32767.5).sub(1).float()
    return torch.randint(256, (channels, height, width), generator=generator).to(torch.uint8)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_a_png_keeps_everything(deep: bool, with_alpha: bool, tmp_path: Path) -> None:
    photograph = Photograph(levels(3, deep), levels(1, deep) if with_alpha else None, PROFILE)
    read = read_photograph(write_photograph(photograph, tmp_path / "new" / "photo.png"))
    torch.testing.assert_close(read.colors, photograph.colors, rtol=0, atol=1e-6 if deep else 0)
    assert (read.alpha is not None) == with_alpha and read.icc_profile == PROFILE
    if read.alpha is not None:
        torch.testing.assert_close(read.alpha, photograph.alpha, rtol=0, atol=1e-6 if deep else 0)
    with Image.open(tmp_path / "new" / "photo.png") as image:  # and a decoder that checks the checksums accepts it
        image.verify()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".bmp", ".gif"])
@pytest.mark.parametrize("deep", [False, True])
def test_other_formats_keep_what_they_can(suffix: str, deep: bool, tmp_path: Path) -> None:
    white, black = (1.0, -1.0) if deep else (255, 0)
    dtype = torch.float32 if deep else torch.uint8
    colors = torch.full((3, 8, 8), black, dtype=dtype)
    alpha = torch.full((1, 8, 8), black, dtype=dtype)  # transparent, on white where alpha is lost
    read = read_photograph(write_photograph(Photograph(colors, alpha, PROFILE), tmp_path / f"photo{suffix}"))
    if suffix in (".webp", ".tif"):
        assert read.alpha is not None and read.alpha.max() == 0
    else:
        assert read.alpha is None and read.colors.min() == 255
    assert white and (read.icc_profile == PROFILE) == (suffix in (".jpg", ".webp", ".tif"))


def test_a_profile_of_other_colors_is_dropped(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "gray.png", icc_profile=PROFILE[:16] + b"GRAY" + PROFILE[20:])
    assert read_photograph(tmp_path / "gray.png").icc_profile is None


def test_contents_in_memory_are_read_as_files_are_and_named(tmp_path: Path) -> None:
    path = write_photograph(Photograph(levels(3, False), None, PROFILE), tmp_path / "photo.png")
    read = read_photograph(Path("the upload"), path.read_bytes(), max_pixels=300 * 7)
    assert torch.equal(read.colors, read_photograph(path).colors) and read.icc_profile == PROFILE
    with refused("image.too_many_pixels", "the upload", "7x300", "2,099"):
        read_photograph(Path("the upload"), path.read_bytes(), max_pixels=300 * 7 - 1)
    with refused("image.unknown_format", "the upload"):
        read_photograph(Path("the upload"), b"")


def test_alpha_follows_the_size_of_the_colors() -> None:
    photograph = Photograph(levels(3, False), torch.full((1, 300, 7), 9, dtype=torch.uint8))
    larger = photograph.with_colors(torch.zeros(3, 600, 14, dtype=torch.uint8))
    assert larger.alpha is not None and larger.alpha.shape == (1, 600, 14) and larger.alpha.unique().tolist() == [9]
    buffer = io.BytesIO()
    encode_photograph(larger, buffer)
    assert Image.open(buffer).size == (14, 600)
