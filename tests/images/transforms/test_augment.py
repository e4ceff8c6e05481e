"""Laws of augmentations and degradations: only the generator is random, and all images of a sample change in the same way."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.config.instantiate import instantiate_each
from stylegan_lab.config.paths import CONF
from stylegan_lab.images.transforms.augment import (
    Augmentation,
    ColorJitter,
    Cutout,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    RandomRotate90,
    apply_augmentations,
)
from stylegan_lab.images.transforms.degrade import (
    Downscale,
    Fade,
    FilmGrain,
    GaussianBlur,
    JPEGCompression,
    Scratches,
    Sepia,
    Vignette,
)
from stylegan_lab.images.value_range import from_bytes
from tests.refusals import refused

ACTIVE: dict[str, Augmentation] = {
    "crop": RandomCrop(16),
    "flip": RandomFlip(1),
    "resized_crop": RandomResizedCrop(16, (0.5, 0.9)),
    "color_jitter": ColorJitter(0.4, 0.4, 0.4),
    "cutout": Cutout(1, (0.2, 0.5)),
    "rotate90": RandomRotate90(1),
    "blur": GaussianBlur((9, 20)),
    "fade": Fade((0.5, 1)),
    "sepia": Sepia((0.5, 1)),
    "vignette": Vignette((0.5, 1)),
    "grain": FilmGrain((0.05, 0.1)),
    "scratches": Scratches((3, 6), (0.5, 1)),
    "jpeg": JPEGCompression((0.3, 0.9)),
    "downscale": Downscale(4),
    "box": Downscale(2, "box"),
    "bilinear": Downscale(2, "bilinear"),
    "keep_size": Downscale(4, "bicubic", keep_size=True),
}
IDENTITY: dict[str, Augmentation] = {
    "crop": RandomCrop(24),
    "flip": RandomFlip(0),
    "resized_crop": RandomResizedCrop(24, (1, 1)),
    "color_jitter": ColorJitter(0, 0, 0),
    "cutout": Cutout(0),
    "no cutout": Cutout(1, (0, 0)),
    "rotate90": RandomRotate90(0),
    "blur": GaussianBlur((0, 0)),
    "fade": Fade((0, 0)),
    "sepia": Sepia((0, 0)),
    "vignette": Vignette((0, 0)),
    "grain": FilmGrain((0, 0)),
    "scratches": Scratches((3, 6), (0, 0)),
    "no scratches": Scratches((0, 0)),
    "jpeg": JPEGCompression((0, 0)),
    "downscale": Downscale(1),
    "box": Downscale(1, "box"),
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 2, channels: int = 3, size: int = 24) -> Tensor:
    """Smooth like photos, and all different."""
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    waves = [torch.sin(3 * x + k) * torch.cos(4 * y - k) * 0.4 + 0.5 for k in range(count * channels)]
    return (torch.stack(waves).reshape(count, channels, size, size) * 255).to(torch.uint8)


@pytest.mark.parametrize("name", ACTIVE)
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_only_the_generator_is_random(name: str, channels: int) -> None:
    original, before = images(channels=channels), images(channels=channels)
    torch.manual_seed(1)
    first = ACTIVE[name](original, seeded(5))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again = ACTIVE[name](original, seeded(5))
    assert torch.equal(first, again) and torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(original, before) and first.dtype == torch.uint8 and first.shape[:2] == original.shape[:2]
    if name in ("crop", "resized_crop", "color_jitter", "cutout", "grain", "scratches", "vignette"):
        assert not torch.equal(first, ACTIVE[name](original, seeded(6)))


@pytest.mark.parametrize("name", ACTIVE)
def test_each_transform_changes_images(name: str) -> None:
    after = ACTIVE[name](images(), seeded(0))
    assert after.shape != images().shape or not torch.equal(after, images())


@pytest.mark.parametrize("name", ACTIVE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_all_images_of_a_sample_change_in_the_same_way(name: str, channels: int) -> None:
    original = images(3, channels)
    batched = ACTIVE[name](original, seeded(5))
    one_by_one = torch.cat([ACTIVE[name](image[None], seeded(5)) for image in original])
    assert torch.equal(batched, one_by_one)


@pytest.mark.parametrize("name", ACTIVE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_and_floats_agree_to_rounding(name: str, channels: int) -> None:
    original = images(channels=channels)
    of_bytes, of_floats = ACTIVE[name](original, seeded(5)), ACTIVE[name](from_bytes(original), seeded(5))
    assert of_floats.dtype == torch.float32 and of_floats.abs().max() <= 1
    assert (of_bytes - (of_floats + 1) * 127.5).abs().max() <= 2
    assert ACTIVE[name](from_bytes(original).double(), seeded(5)).dtype == torch.float64


@pytest.mark.parametrize("name", IDENTITY)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_without_probability_or_strength_it_is_the_identity(name: str, channels: int) -> None:
    original = images(channels=channels)
    for each in (original, from_bytes(original)):
        assert torch.equal(IDENTITY[name](each, seeded(5)), each)


@pytest.mark.parametrize("name", ["color_jitter", "fade", "sepia", "vignette", "grain", "scratches", "jpeg", "blur"])
def test_alpha_is_kept(name: str) -> None:
    original = images(channels=4)
    assert torch.equal(ACTIVE[name](original, seeded(5))[:, 3], original[:, 3])


def test_augmentations_are_applied_in_order_and_none_is_skipped() -> None:
    original = images()
    augmented = apply_augmentations(original, {"flip": RandomFlip(1), "none": None, "crop": RandomCrop(16)}, seeded(3))
    rng = seeded(3)
    assert torch.equal(augmented, RandomCrop(16)(RandomFlip(1)(original, rng), rng))
    assert torch.equal(apply_augmentations(original, {}, seeded(3)), original)


def test_crops_cover_all_positions_and_half_of_the_images_are_flipped() -> None:
    positions = torch.arange(16).reshape(1, 1, 4, 4)
    assert {int(RandomCrop(3)(positions, seeded(seed))[0, 0, 0, 0]) for seed in range(40)} == {0, 1, 4, 5}
    flipped = sum(int(RandomFlip()(positions, seeded(seed))[0, 0, 0, 0]) == 3 for seed in range(200))
    assert 70 < flipped < 130


def test_a_crop_is_a_view() -> None:
    original = images()
    assert RandomCrop(8)(original, seeded(0)).untyped_storage().data_ptr() == original.untyped_storage().data_ptr()


def test_rotations_keep_the_shape() -> None:
    oblong = images()[..., :16]
    assert torch.equal(RandomRotate90(1)(oblong, seeded(0)), oblong.rot90(2, (-2, -1)))
    top_left = {
        RandomRotate90(1)(torch.arange(4).reshape(1, 1, 2, 2), seeded(seed)).flatten().tolist()[0] for seed in range(20)
    }
    assert top_left == {1, 2, 3}


def test_resized_crop_keeps_the_aspect_ratio() -> None:
    """A disc stays a disc at any scale."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
    disc = (((y - 32) ** 2 + (x - 48) ** 2 < 100) * 255).to(torch.uint8)[None, None]
    mask = RandomResizedCrop(64, (0.95, 1.0))(disc, seeded(4))[0, 0] > 127
    height, width = int(mask.any(1).sum()), int(mask.any(0).sum())
    assert abs(height - width) <= 1 and height >= 19


def test_more_strength_changes_the_image_more() -> None:
    original = from_bytes(images(1, size=32))
    for kind in (Fade, Sepia, Vignette, FilmGrain, JPEGCompression):
        distances = [float((kind((s, s))(original, seeded(1)) - original).abs().mean()) for s in (0.1, 0.5, 1.0)]
        assert distances == sorted(distances) and distances[0] < distances[2], kind


def test_downscale_divides_the_size_and_averages_pixels() -> None:
    original = images()
    assert Downscale(4)(original, seeded(0)).shape == (2, 3, 6, 6)
    assert Downscale(4, keep_size=True)(original, seeded(0)).shape == original.shape
    uniform = torch.full((1, 1, 4, 4), 7, dtype=torch.uint8)
    assert torch.equal(Downscale(2, "box")(uniform, seeded(0)), uniform[..., :2, :2])
    with refused("data.size_not_divisible", "degrade.downscale.factor=5", "24x24"):
        Downscale(5)(original, seeded(0))


@pytest.mark.parametrize("group", ["augment", "degrade"])
def test_every_choice_produces_images_of_data_size(group: str, compose_config: Callable[..., DictConfig]) -> None:
    for path in sorted((CONF / group).glob("*.yaml")):
        config = compose_config(f"{group}={path.stem}", "data.size=16")[group]
        augmented = apply_augmentations(
            images(size=24 if group == "augment" else 16), instantiate_each(config, where=group), seeded(0)
        )
        size = {"none": 24, "flip": 24, "superres": 4}.get(path.stem, 16)
        assert augmented.shape == (2, 3, size, size) and augmented.dtype == torch.uint8, path.stem


@pytest.mark.parametrize(
    ("wrong", "code", "named"),
    [
        (
            lambda: RandomCrop(32)(images(), seeded(0)),
            "data.crop_too_large",
            ["augment.crop.size=32", "24x24", "data.load_size"],
        ),
        (lambda: RandomFlip(2), "config.out_of_range", ["augment.flip.p=2"]),
        (lambda: RandomResizedCrop(8, (0.9, 0.2)), "config.invalid_range", ["augment.resized_crop.scale=[0.9, 0.2]"]),
        (lambda: Fade((0, 2)), "config.invalid_range", ["degrade.fade.strength=[0, 2]", "0 and 1"]),
        (lambda: GaussianBlur((1,)), "config.invalid_range", ["degrade.blur.sigma=[1]"]),
        (lambda: ColorJitter(-1), "config.too_small", ["augment.color_jitter.brightness=-1"]),
        (lambda: Downscale(method="area"), "config.unknown_choice", ["degrade.downscale.method=area"]),
        (lambda: Scratches((-1, 2)), "config.invalid_range", ["degrade.scratches.count", "at least 0"]),
    ],
)
def test_wrong_settings_are_named(wrong: Callable[[], Any], code: str, named: list[str]) -> None:
    with refused(code, *named):
        wrong()
