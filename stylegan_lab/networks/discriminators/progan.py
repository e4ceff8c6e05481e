"""ProGAN's discriminator (Karras et al., 2018), which grows together with its generator."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.progan import (
    HE_GAIN,
    EqualizedConv2d,
    EqualizedLinear,
    MinibatchStdDev,
    ProgressiveNetwork,
    resize_to,
)
from stylegan_lab.networks.layers.resolutions import pyramid_levels


class ProGANDiscriminatorBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        widths = (in_channels, out_channels)
        self.convs = nn.ModuleList(EqualizedConv2d(in_channels, width, 3, HE_GAIN) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return F.avg_pool2d(x, 2)


class ProGANDiscriminator(ProgressiveNetwork):
    """ProGAN's discriminator, which mirrors the generator and adds the minibatch standard deviation. Images are downsampled to
    the resolution of the highest level in use."""

    def __init__(
        self,
        image_channels: int = 3,
        size: int = 128,
        channels: int = 128,
        max_channels: int = 512,
        mbstd_group_size: int = 4,
    ) -> None:
        super().__init__()
        check_at_least("discriminator.channels", channels, 1)
        check_at_least("discriminator.mbstd_group_size", mbstd_group_size, 1)
        self.resolutions, widths = pyramid_levels("discriminator", size, channels, max_channels)
        deepest = widths[0]
        self.from_rgb = nn.ModuleList(EqualizedConv2d(image_channels, width, 1, HE_GAIN) for width in widths)
        self.blocks = nn.ModuleList(ProGANDiscriminatorBlock(upper, lower) for lower, upper in pairwise(widths))
        self.minibatch_stddev = MinibatchStdDev(mbstd_group_size)
        self.conv = EqualizedConv2d(deepest + 1, deepest, 3, HE_GAIN)
        self.linear = EqualizedLinear(deepest * self.resolutions[0] ** 2, deepest, HE_GAIN)
        self.out = EqualizedLinear(deepest, 1)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        return self.forward_at_level(image, *self.stage)

    def forward_at_level(self, image: Tensor, level: int, alpha: float = 1.0) -> DiscriminatorOutput:
        """Use the levels up to `level`. Its features have the weight `alpha` in the blend with the features of the level below."""
        image = resize_to(image, self.resolutions[level])
        x = F.leaky_relu(self.from_rgb[level](image), 0.2)
        for below in reversed(range(level)):
            x = self.blocks[below](x)
            if alpha < 1 and below == level - 1:
                x = torch.lerp(F.leaky_relu(self.from_rgb[below](F.avg_pool2d(image, 2)), 0.2), x, alpha)
        x = F.leaky_relu(self.conv(self.minibatch_stddev(x)), 0.2)
        return DiscriminatorOutput((self.out(F.leaky_relu(self.linear(x.flatten(1)), 0.2)),))
