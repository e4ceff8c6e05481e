"""Degradations that make the input of a pair from its target: old photographs, and low resolution.

Strength 0 changes nothing. Lengths are in pixels of an image whose shorter side has 256 pixels."""

from collections.abc import Sequence
from io import BytesIO
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.color import adjust_saturation, luminance
from stylegan_lab.images.transforms.augment import RandomRange, bernoulli
from stylegan_lab.images.transforms.resize import resize_images
from stylegan_lab.images.value_range import apply_in_unit_range
from stylegan_lab.suggestions import lookup

REFERENCE_SIZE = 256  # pixels of the shorter side, for which lengths are given


class GaussianBlur:
    """Blur with a standard deviation of `sigma` pixels."""

    def __init__(self, sigma: Sequence[float] = (0.0, 1.0)) -> None:
        self.sigma = RandomRange("degrade.blur.sigma", sigma)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        sigma = self.sigma.sample(rng) * min(images.shape[-2:]) / REFERENCE_SIZE
        return apply_in_unit_range(images, lambda unit: gaussian_blur(unit, sigma)) if sigma else images


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    if sigma <= 0:
        return images
    radius = ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2).to(images)
    kernel = kernel / kernel.sum()
    count, channels, height, width = images.shape
    planes = F.pad(images.reshape(count * channels, 1, height, width), (radius,) * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel[None, None, :, None]), kernel[None, None, None, :])
    return planes.reshape(images.shape)


class Downscale:
    """Reduce the resolution by an integer `factor`. With `keep_size`, resize back to the original size afterwards, for generators
    whose output has the size of their input."""

    def __init__(self, factor: int = 4, method: str = "bicubic", keep_size: bool = False) -> None:
        check_at_least("degrade.downscale.factor", factor, 1)
        lookup("degrade.downscale.method", method, dict.fromkeys(("bicubic", "bilinear", "box")))
        self.factor, self.method, self.keep_size = factor, method, keep_size

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        if height % self.factor or width % self.factor:
            raise UserError(
                "data.size_not_divisible",
                f"degrade.downscale.factor={self.factor} does not divide an image of {width}x{height} pixels; set data.size to a "
                f"multiple of {self.factor}",
            )
        if self.method == "box":
            small = F.avg_pool2d(images.float(), self.factor)
            small = (small.round() if images.dtype == torch.uint8 else small).to(images.dtype)
        else:
            small = resize_images(images, height // self.factor, width // self.factor, self.method)
        return resize_images(small, height, width) if self.keep_size else small


FADE_BLACK, FADE_WHITE, FADE_DESATURATION = 0.35, 0.1, 0.7  # at full strength


class Fade:
    """Bleach: raise blacks, lower whites and reduce saturation."""

    def __init__(self, strength: Sequence[float] = (0.2, 0.7)) -> None:
        self.strength = RandomRange("degrade.fade.strength", strength, 0, 1)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        strength = self.strength.sample(rng)
        black, white = FADE_BLACK * strength, 1 - FADE_WHITE * strength

        def transform(unit: Tensor) -> Tensor:
            return black + (white - black) * adjust_saturation(unit, 1 - FADE_DESATURATION * strength)

        return apply_in_unit_range(images, transform) if strength else images


class FilmGrain:
    """Add blurred noise, equal in all color channels and strongest in the midtones.

    `strength` is its standard deviation in middle gray, for values from 0 to 1; `size` is the sigma of the blur in pixels.
    """

    def __init__(self, strength: Sequence[float] = (0.01, 0.04), size: Sequence[float] = (0.3, 0.8)) -> None:
        self.strength = RandomRange("degrade.grain.strength", strength, 0, 1)
        self.size = RandomRange("degrade.grain.size", size)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        strength, size = self.strength.sample(rng), self.size.sample(rng)
        height, width = images.shape[-2:]
        noise = torch.randn((1, 1, height, width), generator=rng)
        noise = gaussian_blur(noise, size * min(height, width) / REFERENCE_SIZE)
        noise = strength * noise / noise.std(correction=0).clamp(min=1e-6)

        def transform(unit: Tensor) -> Tensor:
            light = luminance(unit)
            return unit + noise * (0.3 + 2.8 * light * (1 - light))

        return apply_in_unit_range(images, transform) if strength else images


class JPEGCompression:
    """Compress as JPEG. `strength` is between 0 and 1. 0 means no compression; above 0 the quality falls from 95 to 5 at strength
    1."""

    def __init__(self, strength: Sequence[float] = (0.0, 0.7)) -> None:
        self.strength = RandomRange("degrade.jpeg.strength", strength, 0, 1)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        strength = self.strength.sample(rng)
        quality = round(95 - 90 * strength)
        return apply_in_unit_range(images, lambda unit: _jpeg(unit, quality)) if strength else images


def _jpeg(unit: Tensor, quality: int) -> Tensor:
    """Compress RGB images as such, and of other images each channel as a gray image."""
    channels = 3 if unit.shape[1] == 3 else 1
    height, width = unit.shape[-2:]
    bytes_ = (unit.reshape(-1, channels, height, width) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    decoded = np.stack([_jpeg_round_trip(image.squeeze(-1).numpy(), quality) for image in bytes_])
    planes = torch.from_numpy(decoded).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
    return planes.reshape(unit.shape).to(unit) / 255


def _jpeg_round_trip(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file, formats=("JPEG",)) as image:
        return np.asarray(image)


SCRATCH_LIGHT, SCRATCH_DARK = 0.95, 0.12
# Ranges of x, top, length, slant and bend of a scratch, relative to width or height, and of the width of its line in pixels.
SCRATCH_GEOMETRY = ((0, 1), (0, 0.8), (0.1, 0.8), (-0.2, 0.2), (-0.02, 0.02), (0.4, 1.1))


class Scratches:
    """Draw thin, nearly vertical lines of varying opacity; most are light. `strength` is the opacity of a line."""

    def __init__(self, count: Sequence[float] = (0, 6), strength: Sequence[float] = (0.3, 0.8)) -> None:
        self.count = RandomRange("degrade.scratches.count", count)
        self.strength = RandomRange("degrade.scratches.strength", strength, 0, 1)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        strength, count = self.strength.sample(rng), round(self.count.sample(rng))
        height, width = images.shape[-2:]
        scratches = [(_scratch(height, width, rng), bernoulli(0.2, rng)) for _ in range(count)]

        def transform(unit: Tensor) -> Tensor:
            for mask, dark in scratches:
                unit = unit + strength * mask * ((SCRATCH_DARK if dark else SCRATCH_LIGHT) - unit)
            return unit

        return apply_in_unit_range(images, transform) if strength and count else images


def _scratch(height: int, width: int, rng: torch.Generator) -> Tensor:
    """Draw the mask (H, W) of one scratch: up to 1 on the line and 0 elsewhere."""
    ranges = (RandomRange("scratch", ends, minimum=-1) for ends in SCRATCH_GEOMETRY)
    x, top, length, slant, bend, line_width = (each.sample(rng) for each in ranges)
    y = (torch.arange(height) / height)[:, None]
    along = (y - top) / length
    line = x + slant * (y - top) + bend * torch.sin(3 * along)
    thickness = max(0.5, line_width * min(height, width) / REFERENCE_SIZE)
    distance = (torch.arange(width) / width - line).abs() * width / thickness
    opacity = torch.rand(8, generator=rng)[(along * 8).long().clamp(0, 7)]  # of each eighth of the line
    return (1.5 - distance).clamp(0, 1) * ((along >= 0) & (along <= 1)) * (0.35 + 0.65 * opacity)


SEPIA_SHADOWS, SEPIA_HIGHLIGHTS = (0.16, 0.10, 0.06), (0.96, 0.89, 0.74)


class Sepia:
    """Tone: map luminance to colors from warm shadows to yellowed paper. Images without color are left unchanged."""

    def __init__(self, strength: Sequence[float] = (0.5, 1.0)) -> None:
        self.strength = RandomRange("degrade.sepia.strength", strength, 0, 1)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        strength = self.strength.sample(rng)

        def transform(unit: Tensor) -> Tensor:
            shadows, highlights = torch.tensor([SEPIA_SHADOWS, SEPIA_HIGHLIGHTS]).to(unit)[..., None, None]
            toned = shadows + (highlights - shadows) * luminance(unit)
            return unit + strength * (toned - unit)

        return apply_in_unit_range(images, transform) if strength and images.shape[1] in (3, 4) else images


VIGNETTE_CENTER = RandomRange("center", (0.4, 0.6))


class Vignette:
    """Darken the corners, about a center near the middle of the image. `strength` is the loss of brightness at a corner."""

    def __init__(self, strength: Sequence[float] = (0.2, 0.6)) -> None:
        self.strength = RandomRange("degrade.vignette.strength", strength, 0, 1)

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        strength, y, x = self.strength.sample(rng), VIGNETTE_CENTER.sample(rng), VIGNETTE_CENTER.sample(rng)
        height, width = images.shape[-2:]
        down = (torch.linspace(0, 1, height) - y)[:, None] / 0.5
        across = (torch.linspace(0, 1, width) - x) / 0.5
        loss = strength * ((down**2 + across**2) / 2).clamp(max=1) ** 1.5
        return apply_in_unit_range(images, lambda unit: unit * (1 - loss)) if strength else images
