"""Fits: every picture ends at the promised size, in its type, undistorted where that is promised."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from PIL import Image

from stylegan_lab.conf_dir import CONF
from stylegan_lab.images.fit import CropCentre, Fit, InTurn, Pad, Resize, ScaleShortest
from stylegan_lab.instantiate import instantiate
from stylegan_lab.mistake import Mistake

FITS: dict[str, tuple[Fit, Callable[[int, int], tuple[int, int]]]] = {
    "resize": (Resize(12, 20), lambda *_: (12, 20)),
    "shortest": (ScaleShortest(16), lambda h, w: (round(16 * h / min(h, w)), round(16 * w / min(h, w)))),
    "shortest_crop": (InTurn({"scale": ScaleShortest(16), "crop": CropCentre(12)}), lambda *_: (12, 12)),
    "pad": (Pad(16), lambda *_: (16, 16)),
    "none": (InTurn({}), lambda h, w: (h, w)),
}
SHAPES = [(16, 16), (30, 40), (41, 23), (7, 90), (200, 3)]


def pixels(height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.randint(256, (channels, height, width), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_every_shape_ends_at_the_promised_size_in_its_type(name: str, shape: tuple[int, int], channels: int) -> None:
    fit, promised = FITS[name]
    given = pixels(*shape, channels)
    for each in (given, given.float() / 127.5 - 1):
        fitted = fit(each)
        assert fitted.shape == (channels, *promised(*shape)) and fitted.dtype == each.dtype
        assert fitted.dtype == torch.uint8 or fitted.abs().max() <= 1
        assert torch.equal(fit(each), fitted)


@pytest.mark.parametrize("name", FITS)
def test_a_picture_that_fits_already_stays_as_it_is(name: str) -> None:
    fit, promised = FITS[name]
    given = pixels(*promised(16, 16))
    assert torch.equal(fit(given), given) or name == "shortest_crop"


@pytest.mark.parametrize("name", ["resize", "shortest", "pad"])
def test_what_is_wanted_of_a_picture_is_what_it_is_scaled_to(name: str) -> None:
    fit, promised = FITS[name]
    for shape in SHAPES:
        assert promised(*shape) == fit.wanted(*shape) or name == "pad"
    assert FITS["pad"][0].wanted(30, 40) == (12, 16)
    assert FITS["shortest_crop"][0].wanted(40, 80) == (16, 32)
    assert CropCentre(4).wanted(30, 40) == (30, 40) == InTurn({}).wanted(30, 40)


def test_scaling_is_pillow_s() -> None:
    given = pixels(60, 90)
    picture = Image.fromarray(given.permute(1, 2, 0).numpy())
    expected = torch.tensor(list(picture.resize((31, 17), Image.Resampling.BICUBIC).tobytes())).reshape(17, 31, 3)
    assert (Resize(17, 31)(given).permute(1, 2, 0) - expected).abs().max() <= 1


def test_the_middle_is_what_remains_of_a_crop() -> None:
    assert CropCentre(2)(torch.arange(16).reshape(1, 4, 4)).flatten().tolist() == [5, 6, 9, 10]
    with pytest.raises(Mistake, match=r"3x20 pixels cannot be cropped to 4.*fit=shortest_crop"):
        CropCentre(4)(pixels(20, 3))


@pytest.mark.parametrize(
    ("fill", "row"),
    [
        ("mirror", [1, 0, 0, 1, 2, 3, 3, 2]),
        ("edge", [0, 0, 0, 1, 2, 3, 3, 3]),
        ("white", [255, 255, 0, 1, 2, 3, 255, 255]),
        ("black", [0, 0, 0, 1, 2, 3, 0, 0]),
        ("grey", [128, 128, 0, 1, 2, 3, 128, 128]),
    ],
)
def test_what_is_padded_is_filled_as_asked(fill: str, row: list[int]) -> None:
    given = torch.arange(4, dtype=torch.uint8).repeat(8, 1)[None]
    assert Pad(8, fill)(given)[0, 0].tolist() == row


def test_a_mirror_is_repeated_where_one_is_not_enough() -> None:
    assert Pad(9)(torch.tensor([[[5], [6], [7]]], dtype=torch.uint8).repeat(1, 3, 1))[0].shape == (9, 9)


@pytest.mark.parametrize("choice", sorted(path.stem for path in (CONF / "fit").glob("*.yaml")))
def test_choices_scale_to_the_load_size_of_data_or_else_its_size(
    choice: str, composed: Callable[..., DictConfig]
) -> None:
    def fit(*overrides: str) -> Any:
        return instantiate(composed(f"fit={choice}", *overrides).fit)(pixels(60, 50)).shape[2]

    plain = choice == "none"
    assert fit("data.size=24") == (50 if plain else 24)
    assert fit("data.size=24", "+data.load_size=28") == (50 if plain else 28)


@pytest.mark.parametrize("wrong", [lambda: Resize(0, 4), lambda: ScaleShortest(0), lambda: Pad(4, "gray")])
def test_what_cannot_be_is_said(wrong: Callable[[], Fit]) -> None:
    with pytest.raises(Mistake, match=r"^fit\."):
        wrong()
