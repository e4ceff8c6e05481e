"""Data augmentation: all images of a sample get the same random change, drawn from the generator that is passed in."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.color import adjust_saturation
from stylegan_lab.images.transforms.resize import resize_images
from stylegan_lab.images.value_range import apply_in_unit_range


class Augmentation(Protocol):
    """A random transform of the images of a sample. Augmentations and the degradations of `degrade` have this interface."""

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Transform the K images of one sample (K, C, H, W). They are uint8, or floats in [-1, 1]; the result has the same type.
        The input is not modified."""


def apply_augmentations(
    images: Tensor, augmentations: Mapping[str, Augmentation | None], rng: torch.Generator
) -> Tensor:
    """Apply augmentations or degradations in their order. Entries that are None are skipped."""
    for augmentation in augmentations.values():
        if augmentation is not None:
            images = augmentation(images, rng)
    return images


class RandomFlip:
    """Flip the image horizontally with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("augment.flip.p", p)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        return images.flip(-1) if bernoulli(self.p, rng) else images


class RandomCrop:
    """Cut a square of `size` pixels out at a random position."""

    def __init__(self, size: int) -> None:
        check_at_least("augment.crop.size", size, 1)
        self.size = size

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        if min(height, width) < self.size:
            raise UserError(
                "data.crop_too_large",
                f"augment.crop.size={self.size} is larger than an image of {width}x{height} pixels; increase "
                "data.load_size, and use resize=shortest or resize=resize",
            )
        top, left = random_integer(height - self.size + 1, rng), random_integer(width - self.size + 1, rng)
        return images[..., top : top + self.size, left : left + self.size]


class RandomResizedCrop:
    """Cut out a square of random size and position and resize it to `size` pixels. The aspect ratio is kept.

    `scale` is the range of the square's side, relative to the shorter side of the image (not of its area, as in torchvision).
    """

    def __init__(self, size: int, scale: Sequence[float] = (0.7, 1.0)) -> None:
        check_at_least("augment.resized_crop.size", size, 1)
        self.size, self.scale = size, RandomRange("augment.resized_crop.scale", scale, 0.01, 1)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        side = max(1, round(self.scale.sample(rng) * min(height, width)))
        top, left = random_integer(height - side + 1, rng), random_integer(width - side + 1, rng)
        return resize_images(images[..., top : top + side, left : left + side], self.size, self.size)


class RandomRotate90:
    """With probability `p`, rotate by 90, 180 or 270 degrees; images that are not square are rotated by 180 degrees."""

    def __init__(self, p: float = 0.75) -> None:
        self.p = check_probability("augment.rotate90.p", p)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        rotates, quarter_turns = bernoulli(self.p, rng), 1 + random_integer(3, rng)
        square = images.shape[-1] == images.shape[-2]
        return images.rot90(quarter_turns if square else 2, (-2, -1)) if rotates else images


class ColorJitter:
    """Multiply brightness, contrast (about middle gray) and saturation by factors drawn from [1 - x, 1 + x]."""

    def __init__(self, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2) -> None:
        self.factors = []
        for name, strength in {"brightness": brightness, "contrast": contrast, "saturation": saturation}.items():
            setting = f"augment.color_jitter.{name}"
            check_at_least(setting, strength, 0)
            self.factors.append(RandomRange(setting, (max(0.0, 1 - strength), 1 + strength)))

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        brightness, contrast, saturation = (factor.sample(rng) for factor in self.factors)

        def transform(unit: Tensor) -> Tensor:
            return (adjust_saturation(unit * brightness, saturation) - 0.5) * contrast + 0.5

        return images if brightness == contrast == saturation == 1 else apply_in_unit_range(images, transform)


class Cutout:
    """With probability `p`, cover a square with gray (DeVries and Taylor, 2017).

    `scale` is the range of the square's side, relative to the shorter side of the image.
    """

    def __init__(self, p: float = 0.5, scale: Sequence[float] = (0.5, 0.5)) -> None:
        self.p = check_probability("augment.cutout.p", p)
        self.scale = RandomRange("augment.cutout.scale", scale, 0, 1)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        covers, side = bernoulli(self.p, rng), round(self.scale.sample(rng) * min(height, width))
        top, left = random_integer(height - side + 1, rng), random_integer(width - side + 1, rng)
        if not covers:
            return images
        images = images.clone()
        images[..., top : top + side, left : left + side] = 128 if images.dtype == torch.uint8 else 0
        return images


class RandomRange:
    """A uniform distribution from `ends[0]` to `ends[1]`. `name` is the setting that error messages show."""

    def __init__(self, name: str, ends: Sequence[float], minimum: float = 0.0, maximum: float = float("inf")) -> None:
        if len(ends) != 2 or not minimum <= ends[0] <= ends[1] <= maximum:
            limits = f"of at least {minimum:g}" if maximum == float("inf") else f"between {minimum:g} and {maximum:g}"
            raise UserError(
                "config.invalid_range", f"{name}={list(ends)}: give two numbers {limits}, the smaller one first"
            )
        self.low, self.high = ends

    def sample(self, rng: torch.Generator) -> float:
        return self.low + (self.high - self.low) * float(torch.rand((), generator=rng))


def bernoulli(p: float, rng: torch.Generator) -> bool:
    """Return True with probability `p`. Exactly one random number is drawn, even if `p` is 0 or 1."""
    return bool(torch.rand((), generator=rng) < p)


def random_integer(stop: int, rng: torch.Generator) -> int:
    """Draw an integer from 0 to `stop` - 1."""
    return int(torch.randint(stop, (), generator=rng))


def check_probability(name: str, p: float) -> float:
    if not 0 <= p <= 1:
        raise UserError("config.out_of_range", f"{name}={p}: give a probability between 0 and 1")
    return p
