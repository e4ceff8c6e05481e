"""Resize policies: every image gets the stated size, keeps its type, and its aspect ratio where that is stated."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from PIL import Image

from stylegan_lab.config.instantiate import instantiate
from stylegan_lab.config.paths import CONF
from stylegan_lab.images.transforms.resize import CenterCrop, Pad, Resize, ResizePolicy, ResizeSequence, ScaleShortest
from tests.refusals import refused

POLICIES: dict[str, tuple[ResizePolicy, Callable[[int, int], tuple[int, int]]]] = {
    "resize": (Resize(12, 20), lambda *_: (12, 20)),
    "shortest": (ScaleShortest(16), lambda h, w: (round(16 * h / min(h, w)), round(16 * w / min(h, w)))),
    "shortest_crop": (ResizeSequence({"scale": ScaleShortest(16), "crop": CenterCrop(12)}), lambda *_: (12, 12)),
    "pad": (Pad(16), lambda *_: (16, 16)),
    "none": (ResizeSequence({}), lambda h, w: (h, w)),
}
SHAPES = [(16, 16), (30, 40), (41, 23), (7, 90), (200, 3)]


def pixels(height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.randint(256, (channels, height, width), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_every_shape_gets_the_expected_size_and_keeps_its_type(
    name: str, shape: tuple[int, int], channels: int
) -> None:
    policy, expected_size = POLICIES[name]
    original = pixels(*shape, channels)
    for each in (original, original.float() / 127.5 - 1):
        resized = policy(each)
        assert resized.shape == (channels, *expected_size(*shape)) and resized.dtype == each.dtype
        assert resized.dtype == torch.uint8 or resized.abs().max() <= 1
        assert torch.equal(policy(each), resized)


@pytest.mark.parametrize("name", POLICIES)
def test_images_of_the_target_size_stay_unchanged(name: str) -> None:
    policy, expected_size = POLICIES[name]
    original = pixels(*expected_size(16, 16))
    assert torch.equal(policy(original), original) or name == "shortest_crop"


@pytest.mark.parametrize("name", ["resize", "shortest", "pad"])
def test_the_target_size_is_the_size_an_image_is_scaled_to(name: str) -> None:
    policy, expected_size = POLICIES[name]
    for shape in SHAPES:
        assert expected_size(*shape) == policy.target_size(*shape) or name == "pad"
    assert POLICIES["pad"][0].target_size(30, 40) == (12, 16)
    assert POLICIES["shortest_crop"][0].target_size(40, 80) == (16, 32)
    assert CenterCrop(4).target_size(30, 40) == (30, 40) == ResizeSequence({}).target_size(30, 40)


def test_resizing_matches_pillow() -> None:
    original = pixels(60, 90)
    image = Image.fromarray(original.permute(1, 2, 0).numpy())
    expected = torch.tensor(list(image.resize((31, 17), Image.Resampling.BICUBIC).tobytes())).reshape(17, 31, 3)
    assert (Resize(17, 31)(original).permute(1, 2, 0) - expected).abs().max() <= 1


def test_center_crop_keeps_the_center() -> None:
    assert CenterCrop(2)(torch.arange(16).reshape(1, 4, 4)).flatten().tolist() == [5, 6, 9, 10]
    with refused("data.crop_too_large", "3x20", "4", "resize=shortest_crop"):
        CenterCrop(4)(pixels(20, 3))


@pytest.mark.parametrize(
    ("fill", "row"),
    [
        ("symmetric", [1, 0, 0, 1, 2, 3, 3, 2]),
        ("edge", [0, 0, 0, 1, 2, 3, 3, 3]),
        ("white", [255, 255, 0, 1, 2, 3, 255, 255]),
        ("black", [0, 0, 0, 1, 2, 3, 0, 0]),
        ("gray", [128, 128, 0, 1, 2, 3, 128, 128]),
    ],
)
def test_padding_is_filled_as_configured(fill: str, row: list[int]) -> None:
    original = torch.arange(4, dtype=torch.uint8).repeat(8, 1)[None]
    assert Pad(8, fill)(original)[0, 0].tolist() == row


def test_mirroring_repeats_where_the_padding_is_longer_than_the_image() -> None:
    assert Pad(9)(torch.tensor([[[5], [6], [7]]], dtype=torch.uint8).repeat(1, 3, 1))[0].shape == (9, 9)


@pytest.mark.parametrize("choice", sorted(path.stem for path in (CONF / "resize").glob("*.yaml")))
def test_every_choice_scales_to_data_load_size_or_else_data_size(
    choice: str, compose_config: Callable[..., DictConfig]
) -> None:
    def resized_width(*overrides: str) -> Any:
        return instantiate(compose_config(f"resize={choice}", *overrides).resize)(pixels(60, 50)).shape[2]

    unchanged = choice == "none"
    assert resized_width("data.size=24") == (50 if unchanged else 24)
    assert resized_width("data.size=24", "+data.load_size=28") == (50 if unchanged else 28)


@pytest.mark.parametrize(
    ("wrong", "code", "named"),
    [
        (lambda: Resize(0, 4), "config.too_small", "resize."),
        (lambda: ScaleShortest(0), "config.too_small", "resize."),
        (lambda: Pad(4, "grey"), "config.unknown_choice", "resize.fill=grey"),
    ],
)
def test_wrong_settings_are_named(wrong: Callable[[], ResizePolicy], code: str, named: str) -> None:
    with refused(code, named):
        wrong()
