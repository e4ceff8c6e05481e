"""StarGAN v2's residual block (Choi et al., 2020) and the downsampling trunk that its discriminator and style encoder share."""

import math
from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.networks.layers.norms import AffineInstanceNorm


class PreactivationBlock(nn.Module):
    """Norm and activation before each convolution; the sum with the shortcut is divided by sqrt(2) to keep the variance.

    With `downsample`, 2x2 pixels are averaged between the convolutions and on the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: bool = False, downsample: bool = False) -> None:
        super().__init__()
        norm_1, norm_2 = (AffineInstanceNorm(in_channels) if norm else nn.Identity() for _ in range(2))
        self.pool = nn.AvgPool2d(2) if downsample else nn.Identity()
        self.layers = nn.Sequential(
            norm_1, nn.LeakyReLU(0.2), nn.Conv2d(in_channels, in_channels, 3, padding=1),
            self.pool,
            norm_2, nn.LeakyReLU(0.2), nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )  # fmt: skip
        needs_projection = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if needs_projection else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return (self.layers(x) + self.pool(self.shortcut(x))) / math.sqrt(2)


def channel_widths(channels: int, max_channels: int, n_downsample: int) -> list[int]:
    """Return the channels before and after each downsampling. They double each time, up to `max_channels`."""
    return [min(channels * 2**level, max_channels) for level in range(n_downsample + 1)]


def downsampling_trunk(
    image_channels: int, channels: int, max_channels: int, n_downsample: int
) -> tuple[nn.Sequential, int]:
    """Build the layers from an image to features that are downsampled `n_downsample` times and activated. Returns the layers and
    the channels of the features."""
    widths = channel_widths(channels, max_channels, n_downsample)
    trunk = nn.Sequential(
        nn.Conv2d(image_channels, channels, 3, padding=1),
        *(PreactivationBlock(*pair, downsample=True) for pair in pairwise(widths)),
        nn.LeakyReLU(0.2),
    )
    return trunk, widths[-1]
