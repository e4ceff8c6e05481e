"""Augmentations and degradations obey the same laws: chance comes from the generator alone, and one draw serves a sample."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.conf_dir import CONF
from stylegan_lab.images.augment import Augmentation, augmented
from stylegan_lab.images.augment.colour import Colour
from stylegan_lab.images.augment.crop import Crop
from stylegan_lab.images.augment.cutout import Cutout
from stylegan_lab.images.augment.flip import Flip
from stylegan_lab.images.augment.jitter import Jitter
from stylegan_lab.images.augment.rotate90 import Rotate90
from stylegan_lab.images.convert import from_bytes
from stylegan_lab.images.degrade.blur import Blur
from stylegan_lab.images.degrade.downscale import Downscale
from stylegan_lab.images.degrade.fade import Fade
from stylegan_lab.images.degrade.grain import Grain
from stylegan_lab.images.degrade.jpeg import Jpeg
from stylegan_lab.images.degrade.scratches import Scratches
from stylegan_lab.images.degrade.sepia import Sepia
from stylegan_lab.images.degrade.vignette import Vignette
from stylegan_lab.instantiate import instantiate_each
from stylegan_lab.mistake import Mistake

LIVELY: dict[str, Augmentation] = {
    "crop": Crop(16),
    "flip": Flip(1),
    "jitter": Jitter(16, (0.5, 0.9)),
    "colour": Colour(0.4, 0.4, 0.4),
    "cutout": Cutout(1, (0.2, 0.5)),
    "rotate90": Rotate90(1),
    "blur": Blur((9, 20)),
    "fade": Fade((0.5, 1)),
    "sepia": Sepia((0.5, 1)),
    "vignette": Vignette((0.5, 1)),
    "grain": Grain((0.05, 0.1)),
    "scratches": Scratches((3, 6), (0.5, 1)),
    "jpeg": Jpeg((0.3, 0.9)),
    "downscale": Downscale(4),
    "box": Downscale(2, "box"),
    "bilinear": Downscale(2, "bilinear"),
    "back": Downscale(4, "bicubic", enlarged=True),
}
STILL: dict[str, Augmentation] = {
    "crop": Crop(24),
    "flip": Flip(0),
    "jitter": Jitter(24, (1, 1)),
    "colour": Colour(0, 0, 0),
    "cutout": Cutout(0),
    "no cutout": Cutout(1, (0, 0)),
    "rotate90": Rotate90(0),
    "blur": Blur((0, 0)),
    "fade": Fade((0, 0)),
    "sepia": Sepia((0, 0)),
    "vignette": Vignette((0, 0)),
    "grain": Grain((0, 0)),
    "scratches": Scratches((3, 6), (0, 0)),
    "no scratches": Scratches((0, 0)),
    "jpeg": Jpeg((0, 0)),
    "downscale": Downscale(1),
    "box": Downscale(1, "box"),
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 2, channels: int = 3, size: int = 24) -> Tensor:
    """Smooth, as pictures are, and each different."""
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    waves = [torch.sin(3 * x + k) * torch.cos(4 * y - k) * 0.4 + 0.5 for k in range(count * channels)]
    return (torch.stack(waves).reshape(count, channels, size, size) * 255).to(torch.uint8)


@pytest.mark.parametrize("name", LIVELY)
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_the_generator_decides_and_nothing_else(name: str, channels: int) -> None:
    given, before = images(channels=channels), images(channels=channels)
    torch.manual_seed(1)
    first = LIVELY[name](given, seeded(5))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again = LIVELY[name](given, seeded(5))
    assert torch.equal(first, again) and torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(given, before) and first.dtype == torch.uint8 and first.shape[:2] == given.shape[:2]
    if name in ("crop", "jitter", "colour", "cutout", "grain", "scratches", "vignette"):
        assert not torch.equal(first, LIVELY[name](given, seeded(6)))


@pytest.mark.parametrize("name", LIVELY)
def test_it_does_something(name: str) -> None:
    after = LIVELY[name](images(), seeded(0))
    assert after.shape != images().shape or not torch.equal(after, images())


@pytest.mark.parametrize("name", LIVELY)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_pictures_of_a_sample_are_changed_alike(name: str, channels: int) -> None:
    given = images(3, channels)
    together = LIVELY[name](given, seeded(5))
    alone = torch.cat([LIVELY[name](picture[None], seeded(5)) for picture in given])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("name", LIVELY)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_and_floats_agree_to_rounding(name: str, channels: int) -> None:
    given = images(channels=channels)
    of_bytes, of_floats = LIVELY[name](given, seeded(5)), LIVELY[name](from_bytes(given), seeded(5))
    assert of_floats.dtype == torch.float32 and of_floats.abs().max() <= 1
    assert (of_bytes - (of_floats + 1) * 127.5).abs().max() <= 2
    assert LIVELY[name](from_bytes(given).double(), seeded(5)).dtype == torch.float64


@pytest.mark.parametrize("name", STILL)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_without_probability_or_strength_it_is_the_identity(name: str, channels: int) -> None:
    given = images(channels=channels)
    for each in (given, from_bytes(given)):
        assert torch.equal(STILL[name](each, seeded(5)), each)


@pytest.mark.parametrize("name", ["colour", "fade", "sepia", "vignette", "grain", "scratches", "jpeg", "blur"])
def test_transparency_is_left_alone(name: str) -> None:
    given = images(channels=4)
    assert torch.equal(LIVELY[name](given, seeded(5))[:, 3], given[:, 3])


def test_augmentations_play_in_their_order_and_null_is_left_out() -> None:
    given = images()
    played = augmented(given, {"flip": Flip(1), "none": None, "crop": Crop(16)}, seeded(3))
    chance = seeded(3)
    assert torch.equal(played, Crop(16)(Flip(1)(given, chance), chance))
    assert torch.equal(augmented(given, {}, seeded(3)), given)


def test_crops_come_from_everywhere_and_flips_half_of_the_time() -> None:
    places = torch.arange(16).reshape(1, 1, 4, 4)
    assert {int(Crop(3)(places, seeded(seed))[0, 0, 0, 0]) for seed in range(40)} == {0, 1, 4, 5}
    flipped = sum(int(Flip()(places, seeded(seed))[0, 0, 0, 0]) == 3 for seed in range(200))
    assert 70 < flipped < 130


def test_crops_and_flips_of_bytes_stay_bytes_without_a_copy() -> None:
    given = images()
    assert Crop(8)(given, seeded(0)).untyped_storage().data_ptr() == given.untyped_storage().data_ptr()


def test_quarter_turns_keep_the_shape() -> None:
    oblong = images()[..., :16]
    assert torch.equal(Rotate90(1)(oblong, seeded(0)), oblong.rot90(2, (-2, -1)))
    turns = {Rotate90(1)(torch.arange(4).reshape(1, 1, 2, 2), seeded(seed)).flatten().tolist()[0] for seed in range(20)}
    assert turns == {1, 2, 3}


def test_jitter_keeps_the_aspect() -> None:
    """A disc stays a disc, nearer or farther."""
    y, x = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
    disc = (((y - 32) ** 2 + (x - 48) ** 2 < 100) * 255).to(torch.uint8)[None, None]
    seen = Jitter(64, (0.95, 1.0))(disc, seeded(4))[0, 0] > 127
    height, width = int(seen.any(1).sum()), int(seen.any(0).sum())
    assert abs(height - width) <= 1 and height >= 19


def test_more_strength_is_further_from_the_picture() -> None:
    given = from_bytes(images(1, size=32))
    for kind in (Fade, Sepia, Vignette, Grain, Jpeg):
        distances = [float((kind((s, s))(given, seeded(1)) - given).abs().mean()) for s in (0.1, 0.5, 1.0)]
        assert distances == sorted(distances) and distances[0] < distances[2], kind


def test_downscaling_keeps_what_a_pixel_weighs() -> None:
    given = images()
    assert Downscale(4)(given, seeded(0)).shape == (2, 3, 6, 6)
    assert Downscale(4, enlarged=True)(given, seeded(0)).shape == given.shape
    even = torch.full((1, 1, 4, 4), 7, dtype=torch.uint8)
    assert torch.equal(Downscale(2, "box")(even, seeded(0)), even[..., :2, :2])
    with pytest.raises(Mistake, match="factor=5 does not divide a picture of 24x24"):
        Downscale(5)(given, seeded(0))


@pytest.mark.parametrize("group", ["augment", "degrade"])
def test_every_choice_gives_pictures_of_the_size_of_the_data(group: str, composed: Callable[..., DictConfig]) -> None:
    for path in sorted((CONF / group).glob("*.yaml")):
        config = composed(f"{group}={path.stem}", "data.size=16")[group]
        played = augmented(
            images(size=24 if group == "augment" else 16), instantiate_each(config, where=group), seeded(0)
        )
        size = {"none": 24, "flip": 24, "superres": 4}.get(path.stem, 16)
        assert played.shape == (2, 3, size, size) and played.dtype == torch.uint8, path.stem


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Crop(32)(images(), seeded(0)), r"augment\.crop\.size=32: a picture of 24x24 pixels is smaller"),
        (lambda: Flip(2), r"augment\.flip\.probability=2"),
        (lambda: Jitter(8, (0.9, 0.2)), r"augment\.jitter\.share=\[0\.9, 0\.2\].*smaller first"),
        (lambda: Fade((0, 2)), r"degrade\.fade\.strength=\[0, 2\].*between 0 and 1"),
        (lambda: Blur((1,)), r"degrade\.blur\.strength=\[1\]"),
        (lambda: Colour(-1), r"augment\.colour\.brightness=-1"),
        (lambda: Downscale(method="area"), r"degrade\.downscale\.method=area is unknown"),
        (lambda: Scratches((-1, 2)), r"degrade\.scratches\.count.*from 0 on"),
    ],
)
def test_what_cannot_be_is_said(wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises(Mistake, match=message):
        wrong()
