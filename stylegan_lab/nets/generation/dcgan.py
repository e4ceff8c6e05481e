"""DCGAN (Radford et al., 2016): noise becomes a small map, and every layer doubles its side; the critic goes the way back."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.blocks import Norm, needs_bias, norm_layer
from stylegan_lab.nets.condition import laid_on
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.verdict import Verdict

SMALLEST = (4, 7)  # sides from which doublings reach 8, 16, 32, 64, ... and 14, 28, 56, ...


class DCGANGenerator(nn.Module):
    """`channels` at full size, twice as many at each halving, at most `most_channels`. Batch norm but at the end."""

    def __init__(
        self,
        latent_size: int = 100,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        most_channels: int = 512,
        norm: Norm = "batch",
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__()
        at_least("generator.channels", channels, 1)
        side, widths = pyramid("generator", size, channels, most_channels)
        bias = needs_bias(norm)
        parts: list[nn.Module] = [
            nn.ConvTranspose2d(latent_size + classes, widths[-1], side, bias=bias),
            norm_layer(norm, widths[-1]),
            nn.ReLU(),
        ]
        for inputs, outputs in pairwise(reversed(widths)):
            parts += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias), norm_layer(norm, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*parts, nn.ConvTranspose2d(widths[0], image_channels, 4, 2, 1), nn.Tanh())
        initialise(self, initialisation)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        given = latents if condition is None else torch.cat([latents, condition], dim=1)
        pictures: Tensor = self.layers(given[:, :, None, None])
        return pictures


class DCGANCritic(nn.Module):
    """Halvings with a leaky slope of 0.2 and batch norm but at the beginning, down to one logit; a class is laid on the picture."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        most_channels: int = 512,
        norm: Norm = "batch",
        dropout: float = 0.0,
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__()
        at_least("adversary.channels", channels, 1)
        at_least("adversary.dropout", dropout, 0)
        side, widths = pyramid("adversary", size, channels, most_channels)
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        parts: list[nn.Module] = [nn.Conv2d(image_channels + classes, widths[0], 4, 2, 1), nn.LeakyReLU(0.2), *drop]
        for inputs, outputs in pairwise(widths):
            conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=needs_bias(norm))
            parts += [conv, norm_layer(norm, outputs), nn.LeakyReLU(0.2), *drop]
        self.layers = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, side), nn.Flatten())
        initialise(self, initialisation)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Verdict:
        return Verdict((self.layers(image if condition is None else laid_on(image, condition)),))


def pyramid(role: Literal["generator", "adversary"], size: int, channels: int, most: int) -> tuple[int, list[int]]:
    """The side that halvings end at, and the channels after each of them."""
    for side in SMALLEST:
        halvings = (size // side).bit_length() - 1
        if halvings > 0 and side * 2**halvings == size:
            return side, [min(channels * 2**level, most) for level in range(halvings)]
    raise Mistake(f"{role}.size={size}: 4 or 7 times a power of 2 is expected, such as 16, 28, 32, 64 or 128")
