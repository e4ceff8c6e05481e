"""StarGAN v2's generator (Choi et al., 2020): an encoder of the image, and a decoder with the style in every norm (AdaIN)."""

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm, split_condition_maps
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import AffineInstanceNorm
from stylegan_lab.networks.layers.stargan2 import PreactivationBlock, channel_widths


class AdaINResidualBlock(nn.Module):
    """A residual block with the style in its norms. With `upsample`, each pixel is repeated 2x2 before the first convolution and
    on the shortcut."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, upsample: bool = False) -> None:
        super().__init__()
        widths = (in_channels, out_channels)
        self.norms = nn.ModuleList(ConditionalInstanceNorm(width, style_dim) for width in widths)
        self.convs = nn.ModuleList(nn.Conv2d(width, out_channels, 3, padding=1) for width in widths)
        needs_projection = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, bias=False) if needs_projection else nn.Identity()
        self.upsample = nn.Upsample(scale_factor=2) if upsample else nn.Identity()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        residual = self.convs[0](self.upsample(F.leaky_relu(self.norms[0](x, style), 0.2)))
        residual = self.convs[1](F.leaky_relu(self.norms[1](residual, style), 0.2))
        return (residual + self.shortcut(self.upsample(x))) / math.sqrt(2)


class StarGAN2Generator(nn.Module):
    """An encoder, and a decoder whose norms get the condition. The condition, a style or a domain label, is appended to the image
    as `condition_channels` maps."""

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        max_channels: int = 512,
        n_downsample: int = 4,
        initialization: Initialization = "he",
        condition_channels: int = 64,
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 1), n_downsample=(n_downsample, 1))
        self.image_channels = image_channels
        self.multiple_of = 2**n_downsample
        self.min_size = 2 * self.multiple_of  # instance norm of a single pixel is 0
        widths = channel_widths(channels, max_channels, n_downsample)
        pairs, deepest = list(pairwise(widths)), widths[-1]
        self.encoder = nn.Sequential(
            nn.Conv2d(image_channels, channels, 3, padding=1),
            *(PreactivationBlock(*pair, norm=True, downsample=True) for pair in pairs),
            *(PreactivationBlock(deepest, deepest, norm=True) for _ in range(2)),
        )
        self.decoder = nn.ModuleList(AdaINResidualBlock(deepest, deepest, condition_channels) for _ in range(2))
        for outer, inner in reversed(pairs):
            self.decoder.append(AdaINResidualBlock(inner, outer, condition_channels, upsample=True))
        self.to_rgb = nn.Sequential(
            AffineInstanceNorm(channels), nn.LeakyReLU(0.2), nn.Conv2d(channels, image_channels, 1)
        )
        initialize_weights(self, initialization)

    def forward(self, conditioned: Tensor) -> Tensor:
        image, style = split_condition_maps(conditioned, self.image_channels)
        x = self.encoder(image)
        for block in self.decoder:
            x = block(x, style)
        return self.to_rgb(x)
