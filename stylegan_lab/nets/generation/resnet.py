"""Residual nets for small pictures (Gulrajani et al., 2017; Miyato et al., 2018), told a class as Miyato & Koyama (2018) do it."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.mistake import at_least
from stylegan_lab.nets.generation.class_norm import ClassNorm
from stylegan_lab.nets.generation.dcgan import pyramid
from stylegan_lab.nets.generation.projection import Projection
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.spectral import normalise_spectrally
from stylegan_lab.nets.verdict import Verdict


class DoublingBlock(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = ClassNorm(channels, classes), ClassNorm(channels, classes)
        self.conv_1, self.conv_2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        out = self.conv_1(_doubled(F.relu(self.norm_1(x, condition))))
        out = self.conv_2(F.relu(self.norm_2(out, condition)))
        return out + _doubled(self.shortcut(x))  # what a 1x1 convolution sees, doubling only repeats


class ResNetGenerator(nn.Module):
    """As many `channels` on every level; a class chooses the scales and shifts of the batch norms."""

    def __init__(
        self,
        latent_size: int = 128,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 128,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        at_least("generator.channels", channels, 1)
        side, levels = pyramid("generator", size, channels, channels)
        self.stem = nn.Sequential(nn.Linear(latent_size, channels * side**2), nn.Unflatten(1, (channels, side, side)))
        self.blocks = nn.ModuleList(DoublingBlock(channels, classes) for _ in levels)
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, image_channels, 3, padding=1), nn.Tanh()
        )
        initialise(self, initialisation)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        x = self.stem(latents)
        for block in self.blocks:
            x = block(x, condition)
        pictures: Tensor = self.head(x)
        return pictures


class CriticBlock(nn.Module):
    """`first`: of a picture, which is not rectified. `halves` by averaging, behind the convolutions and before a shortcut."""

    def __init__(self, inputs: int, outputs: int, first: bool = False, halves: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Identity() if first else nn.ReLU(), nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.AvgPool2d(2) if halves else nn.Identity(),
        )  # fmt: skip
        self.shortcut = (
            nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))
            if halves or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x) + self.shortcut(x)
        return out


class ResNetCritic(nn.Module):
    """Halvings down to twice the generator's smallest side, two blocks there, and a `pool` of all places to project a class on."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 128,
        pool: Literal["sum", "mean"] = "sum",
        spectral: bool = False,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        at_least("adversary.channels", channels, 1)
        _, levels = pyramid("adversary", size, channels, channels)
        halvings = max(len(levels) - 1, 1)
        self.blocks = nn.Sequential(
            CriticBlock(image_channels, channels, first=True, halves=True),
            *(CriticBlock(channels, channels, halves=True) for _ in range(halvings - 1)),
            CriticBlock(channels, channels), CriticBlock(channels, channels), nn.ReLU(),
        )  # fmt: skip
        self.pool = choose("adversary.pool", pool, {"sum": torch.sum, "mean": torch.mean})
        self.judge = Projection(channels, classes)
        initialise(self, initialisation)
        if spectral:
            normalise_spectrally(self)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Verdict:
        return Verdict((self.judge(self.pool(self.blocks(image), dim=(2, 3)), condition),))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)
