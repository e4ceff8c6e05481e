"""WGAN-GP's residual discriminator for small images (Gulrajani et al., 2017), and SNGAN's (Miyato et al., 2018)."""

from typing import Literal

import torch
from torch import Tensor, nn

from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.conditioning import ProjectionHead
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.resolutions import downsampling_widths
from stylegan_lab.suggestions import lookup


class WGANGPDownBlock(nn.Module):
    """A residual block. `is_first` omits the ReLU before the first convolution. With `downsample`, 2x2 pixels are averaged after
    the convolutions, and on the shortcut before its 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, is_first: bool = False, downsample: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Identity() if is_first else nn.ReLU(), nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.ReLU(), nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.AvgPool2d(2) if downsample else nn.Identity(),
        )  # fmt: skip
        self.shortcut = (
            nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1))
            if downsample or in_channels != out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + self.shortcut(x)


class WGANGPResNetDiscriminator(nn.Module):
    """Downsampling blocks reduce images to twice the generator's smallest resolution. Two more blocks, global pooling (`pool`),
    and a projection head for the class follow."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 128,
        pool: Literal["sum", "mean"] = "sum",
        spectral: bool = False,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        _, widths = downsampling_widths("discriminator", size, channels, channels)
        n_downsample = max(len(widths) - 1, 1)
        self.blocks = nn.Sequential(
            WGANGPDownBlock(image_channels, channels, is_first=True, downsample=True),
            *(WGANGPDownBlock(channels, channels, downsample=True) for _ in range(n_downsample - 1)),
            WGANGPDownBlock(channels, channels), WGANGPDownBlock(channels, channels), nn.ReLU(),
        )  # fmt: skip
        self.pool = lookup("discriminator.pool", pool, {"sum": torch.sum, "mean": torch.mean})
        self.head = ProjectionHead(channels, classes)
        initialize_weights(self, initialization, spectral)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.head(self.pool(self.blocks(image), dim=(2, 3)), condition),))
