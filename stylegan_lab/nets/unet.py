"""U-Net (Ronneberger et al., 2015) as pix2pix uses it: halve down to one pixel and back, each level's input skipping across."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.blocks import Norm, needs_bias, norm_layer
from stylegan_lab.nets.initialisation import Initialisation, initialise


class Level(nn.Module):
    """Halve, go through the deeper levels, double, and put the result beside the input."""

    def __init__(self, outer: int, inner: int, deeper: nn.Module | None, norm: Norm, dropout: float) -> None:
        super().__init__()
        middle = [] if deeper is None else [norm_layer(norm, inner), deeper]
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1, bias=needs_bias(norm)),
            *middle,
            nn.ReLU(), nn.ConvTranspose2d(inner * (1 if deeper is None else 2), outer, 4, 2, 1, bias=needs_bias(norm)),
            norm_layer(norm, outer), *drop,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=1)


class UNet(nn.Module):
    """`levels` halvings: 8 for 256 px, 7 for 128. Dropout stands in the innermost levels but one, as published."""

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        levels: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.5,
        initialisation: Initialisation = "normal",
        condition_channels: int = 0,
    ) -> None:
        super().__init__()
        at_least("translator.channels", channels, 1)
        at_least("translator.levels", levels, 3)
        at_least("translator.dropout", dropout, 0)
        widths = [channels * min(2**level, 8) for level in range(levels)]
        net = Level(widths[-2], widths[-1], None, norm, 0.0)
        for outer, inner in reversed(list(pairwise(widths[:-1]))):
            net = Level(outer, inner, net, norm, dropout if outer == inner else 0.0)
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels + condition_channels, channels, 4, 2, 1, bias=needs_bias(norm)),
            net,
            nn.ReLU(), nn.ConvTranspose2d(2 * channels, image_channels, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip
        self.multiple_of = self.at_least = 2**levels
        initialise(self, initialisation)

    def forward(self, image: Tensor) -> Tensor:
        translated: Tensor = self.layers(image)
        return translated
