"""ProGAN's generator (Karras et al., 2018), which grows: it starts at 4 px, and each new resolution is faded in."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.layers.progan import (
    HE_GAIN,
    EqualizedConv2d,
    EqualizedLinear,
    ProgressiveNetwork,
    pixel_norm,
    resize_to,
    upsample_2x,
)
from stylegan_lab.networks.layers.resolutions import pyramid_levels


class ProGANGeneratorBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        widths = (in_channels, out_channels)
        self.convs = nn.ModuleList(EqualizedConv2d(width, out_channels, 3, HE_GAIN) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        x = upsample_2x(x)
        for conv in self.convs:
            x = pixel_norm(F.leaky_relu(conv(x), 0.2))
        return x


class ProGANGenerator(ProgressiveNetwork):
    """ProGAN's generator. It has `channels` channels at full size and twice as many at each halving of the size, up to
    `max_channels`. If the level in use is lower than the full size, its images are upsampled to `size`."""

    def __init__(
        self,
        latent_dim: int = 512,
        image_channels: int = 3,
        size: int = 128,
        channels: int = 128,
        max_channels: int = 512,
    ) -> None:
        super().__init__()
        self.resolutions, widths = pyramid_levels("generator", size, channels, max_channels)
        deepest = widths[0]
        self.linear = EqualizedLinear(latent_dim, deepest * self.resolutions[0] ** 2, HE_GAIN / 4)
        self.conv = EqualizedConv2d(deepest, deepest, 3, HE_GAIN)
        self.blocks = nn.ModuleList(ProGANGeneratorBlock(*pair) for pair in pairwise(widths))
        self.to_rgb = nn.ModuleList(EqualizedConv2d(width, image_channels, 1) for width in widths)

    def forward(self, latents: Tensor, condition: None = None) -> Tensor:
        return self.forward_at_level(latents, *self.stage)

    def forward_at_level(self, latents: Tensor, level: int, alpha: float = 1.0) -> Tensor:
        """Use the levels up to `level`. Its image has the weight `alpha` in the blend with the image of the level below."""
        smallest = self.resolutions[0]
        x = self.linear(pixel_norm(latents)).unflatten(1, (-1, smallest, smallest))
        x = pixel_norm(F.leaky_relu(x, 0.2))
        x = below = pixel_norm(F.leaky_relu(self.conv(x), 0.2))
        for block in self.blocks[:level]:
            x, below = block(x), x
        image: Tensor = self.to_rgb[level](x)
        if alpha < 1:
            image = torch.lerp(upsample_2x(self.to_rgb[level - 1](below)), image, alpha)
        return resize_to(image, self.resolutions[-1])
