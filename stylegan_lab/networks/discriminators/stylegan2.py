"""StyleGAN2's discriminator (Karras et al., 2020)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.progan import EqualizedConv2d, EqualizedLinear, MinibatchStdDev
from stylegan_lab.networks.layers.resampling import BlurPool
from stylegan_lab.networks.layers.resolutions import pyramid_levels
from stylegan_lab.networks.layers.stylegan2 import (
    ARCHITECTURES,
    Architecture,
    MappingNetwork,
    lrelu_clamped,
    to_full_precision,
)
from stylegan_lab.suggestions import lookup


class StyleGAN2DiscriminatorBlock(nn.Module):
    """A block that halves the resolution. With `from_rgb`, it adds features of the image at the block's input resolution. With
    `residual`, it has a shortcut."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        image_channels: int,
        conv_clamp: float | None,
        from_rgb: bool,
        residual: bool,
    ) -> None:
        super().__init__()
        self.from_rgb = EqualizedConv2d(image_channels, in_channels, 1) if from_rgb else None
        self.conv = EqualizedConv2d(in_channels, in_channels, 3)
        self.down = nn.Sequential(
            BlurPool(in_channels, 4, stride=1), EqualizedConv2d(in_channels, out_channels, 3, stride=2)
        )
        shortcut = [BlurPool(in_channels, 4, stride=2), EqualizedConv2d(in_channels, out_channels, 1, bias=False)]
        self.shortcut = nn.Sequential(*shortcut) if residual else None
        self.conv_clamp = conv_clamp

    def forward(self, x: Tensor | None, image: Tensor) -> Tensor:
        if self.from_rgb is not None:
            features = lrelu_clamped(self.from_rgb(image), self.conv_clamp)
            x = features if x is None else x + features
        assert x is not None
        out = lrelu_clamped(self.conv(x), self.conv_clamp)
        out = lrelu_clamped(self.down(out), self.conv_clamp)
        return out if self.shortcut is None else (out + self.shortcut(x)) * math.sqrt(0.5)


class StyleGAN2Discriminator(nn.Module):
    """Blocks down to 4 or 7 px, then minibatch standard deviation and one logit. A class is embedded by a mapping network and
    enters by projection. `conv_clamp` bounds the activations; training in float16 needs it (256 in the paper)."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 256,
        channels: int = 64,
        max_channels: int = 512,
        mbstd_group_size: int = 4,
        mapping_layers: int = 8,
        architecture: Architecture = "residual",
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        check_minimums("discriminator", mbstd_group_size=(mbstd_group_size, 1), mapping_layers=(mapping_layers, 1))
        skip, residual = lookup("discriminator.architecture", architecture, ARCHITECTURES)
        resolutions, widths = pyramid_levels("discriminator", size, channels, max_channels)
        self.blocks = nn.ModuleList(
            StyleGAN2DiscriminatorBlock(*pair, image_channels, conv_clamp, skip or index == 0, residual)
            for index, pair in enumerate(pairwise(reversed(widths)))
        )
        deepest = widths[0]
        self.from_rgb = EqualizedConv2d(image_channels, deepest, 1) if skip else None
        self.down = BlurPool(image_channels, kernel_size=4, stride=2) if skip else None
        self.minibatch_stddev = MinibatchStdDev(mbstd_group_size)
        self.conv = EqualizedConv2d(deepest + 1, deepest, 3)
        self.linear = EqualizedLinear(deepest * resolutions[0] ** 2, deepest)
        self.out = EqualizedLinear(deepest, deepest if classes else 1)
        self.mapping = MappingNetwork(0, classes, deepest, mapping_layers) if classes else None
        self.conv_clamp = conv_clamp

    def forward(self, image: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        x = None
        for block in self.blocks:
            x = block(x, image)
            image = image if self.down is None else self.down(image)
        assert x is not None
        with torch.autocast(x.device.type, enabled=False):
            x = to_full_precision(x)
            if self.from_rgb is not None:
                x = x + lrelu_clamped(self.from_rgb(to_full_precision(image)))
            x = lrelu_clamped(self.conv(self.minibatch_stddev(x)), self.conv_clamp)
            logits = self.out(lrelu_clamped(self.linear(x.flatten(1))))
            if self.mapping is not None and condition is not None:
                embedding = self.mapping(logits.new_empty(len(logits), 0), condition)
                logits = (logits * embedding).sum(dim=1, keepdim=True) / math.sqrt(embedding.shape[1])
            return DiscriminatorOutput((logits,))
