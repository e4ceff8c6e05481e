"""SRResNet (Ledig et al., 2017): residual blocks at the small size, then doublings that spread channels over places."""

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.blocks import Norm, norm_layer
from stylegan_lab.nets.initialisation import Initialisation, initialise


class Block(nn.Module):
    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), norm_layer(norm, channels), nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), norm_layer(norm, channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class Upscaler(nn.Module):
    """Pictures come out `factor` times as large. `over_bicubic`: the net adds to a plain enlargement what that lacks, which
    makes short trainings good; the paper's net paints all by itself."""

    multiple_of = 1
    at_least = 4

    def __init__(
        self,
        image_channels: int = 3,
        factor: int = 4,
        channels: int = 64,
        blocks: int = 16,
        norm: Norm = "batch",
        over_bicubic: bool = False,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        at_least("translator.channels", channels, 1)
        at_least("translator.blocks", blocks, 0)
        if factor < 2 or factor & (factor - 1):
            raise Mistake(f"translator.factor={factor}: an upscaler doubles, so give 2, 4 or 8")
        self.factor, self.over_bicubic = factor, over_bicubic
        self.stem = nn.Sequential(nn.Conv2d(image_channels, channels, 9, padding=4), nn.PReLU())
        self.trunk = nn.Sequential(
            *(Block(channels, norm) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1), norm_layer(norm, channels),
        )  # fmt: skip
        self.head = nn.Sequential(
            *(_doubling(channels) for _ in range(factor.bit_length() - 1)),
            nn.Conv2d(channels, image_channels, 9, padding=4),
        )
        initialise(self, initialisation)
        if over_bicubic:
            nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        out: Tensor = self.head(x + self.trunk(x))
        return out + F.interpolate(image, scale_factor=self.factor, mode="bicubic") if self.over_bicubic else out


def _doubling(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
