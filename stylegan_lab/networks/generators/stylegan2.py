"""StyleGAN2's generator (Karras et al., 2020): a mapping network from noise to a style, and a synthesis network that is modulated
by the style."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.layers.progan import EqualizedConv2d
from stylegan_lab.networks.layers.resampling import BlurUpsample, PaddingMode
from stylegan_lab.networks.layers.resolutions import pyramid_levels
from stylegan_lab.networks.layers.stylegan2 import (
    ARCHITECTURES,
    Architecture,
    MappingNetwork,
    ModulatedConv2d,
    lrelu_clamped,
    to_full_precision,
)
from stylegan_lab.suggestions import lookup


class SynthesisLayer(nn.Module):
    """A modulated convolution, noise scaled by a learned strength, a bias and a leaky ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        conv_clamp: float | None,
        upsample: bool = False,
        zero_padding: bool = False,
    ) -> None:
        super().__init__()
        padding: PaddingMode = "zero" if zero_padding else "reflect"
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, w_dim, upsample=upsample, padding=padding)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_clamp = conv_clamp

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        out = self.conv(x, style)
        out = out + (noise * self.noise_strength).to(out.dtype)
        return lrelu_clamped(out + self.bias.to(out.dtype)[:, None, None], self.conv_clamp)


class ToRGB(nn.Module):
    """A modulated 1x1 convolution from features to an image, without demodulation."""

    def __init__(self, in_channels: int, image_channels: int, w_dim: int, conv_clamp: float | None) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, image_channels, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self.conv_clamp = conv_clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        image = to_full_precision(self.conv(x, style)) + self.bias[:, None, None]
        return image if self.conv_clamp is None else image.clamp(-self.conv_clamp, self.conv_clamp)


class SynthesisBlock(nn.Module):
    """A block of two layers at twice the resolution of the previous block. The first block has a single layer, which is applied
    to the learned constant. With `to_rgb`, the block also outputs an image."""

    def __init__(
        self,
        widths: Sequence[int],
        image_channels: int,
        w_dim: int,
        conv_clamp: float | None,
        to_rgb: bool,
        residual: bool,
        zero_padding: bool = False,
    ) -> None:
        super().__init__()
        is_first = len(widths) == 2
        self.layers = nn.ModuleList(
            SynthesisLayer(*pair, w_dim, conv_clamp, index == 0 and not is_first, zero_padding)
            for index, pair in enumerate(pairwise(widths))
        )
        self.to_rgb = ToRGB(widths[-1], image_channels, w_dim, conv_clamp) if to_rgb else None
        padding: PaddingMode = "zero" if zero_padding else "replicate"
        self.upsample = nn.Identity() if is_first else BlurUpsample(image_channels, padding)
        self.shortcut = (
            nn.Sequential(EqualizedConv2d(widths[0], widths[-1], 1, bias=False), BlurUpsample(widths[-1], padding))
            if residual and not is_first
            else None
        )

    def forward(
        self, x: Tensor, image: Tensor | None, styles: Sequence[Tensor], noises: Iterator[Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Apply the block. `styles` holds the styles of the block's layers, then the style of the RGB output if it has one."""
        out = x
        for layer, style in zip(self.layers, styles, strict=False):
            out = layer(out, style, next(noises))
        if self.shortcut is not None:
            out = (out + self.shortcut(x)) * math.sqrt(0.5)
        if image is not None:
            image = self.upsample(image)
        if self.to_rgb is not None:
            rgb = self.to_rgb(out, styles[-1])
            image = rgb if image is None else image + rgb
        return out, image


class StyleGAN2Generator(nn.Module):
    """Maps latents to styles (w), one per layer, and synthesizes an image from them.

    During training, each image gets different noise. In evaluation, the noise is a fixed buffer. `conv_clamp` bounds the
    activations; training in float16 needs it (256 in the paper). With `zero_padding`, feature maps are padded with zeros before a
    blur, as in the authors' code, instead of with their border values.
    """

    w_avg: Tensor
    noise: Tensor

    def __init__(
        self,
        latent_dim: int = 512,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 256,
        channels: int = 64,
        max_channels: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        architecture: Architecture = "skip",
        conv_clamp: float | None = None,
        zero_padding: bool = False,
    ) -> None:
        super().__init__()
        check_minimums("generator", w_dim=(w_dim, 1), mapping_layers=(mapping_layers, 1))
        skip, residual = lookup("generator.architecture", architecture, ARCHITECTURES)
        resolutions, widths = pyramid_levels("generator", size, channels, max_channels)
        self.layer_resolutions = [resolutions[0], *(each for each in resolutions[1:] for _ in range(2))]
        self.mapping = MappingNetwork(latent_dim, classes, w_dim, mapping_layers)
        self.const = nn.Parameter(torch.randn(widths[0], resolutions[0], resolutions[0]))
        block_widths = [(widths[0], widths[0]), *((inner, outer, outer) for inner, outer in pairwise(widths))]
        self.blocks = nn.ModuleList(
            SynthesisBlock(
                each, image_channels, w_dim, conv_clamp, skip or each is block_widths[-1], residual, zero_padding
            )
            for each in block_widths
        )
        # The style of a block's RGB output is also that of the next block's first layer.
        self.block_styles = [slice(max(0, 2 * index - 1), 2 * index + 2) for index in range(len(block_widths))]
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.register_buffer("noise", torch.randn(self.noise_size))

    @property
    def num_ws(self) -> int:
        """The number of styles per image: one per synthesis layer, and one for the last RGB output."""
        return len(self.layer_resolutions) + 1

    @property
    def noise_size(self) -> int:
        """The number of noise values per image."""
        return sum(resolution**2 for resolution in self.layer_resolutions)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.synthesize(self.styles(latents, condition))

    def styles(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents to styles (N, num_ws, w_dim), which are the same for all layers of an image."""
        style: Tensor = self.mapping(latents, condition)
        return style[:, None].expand(-1, self.num_ws, -1)

    def truncate(self, styles: Tensor, psi: float) -> Tensor:
        """The truncation trick: move styles toward the average style. psi = 1 changes nothing, psi = 0 gives the average."""
        return torch.lerp(self.w_avg.expand_as(styles), styles, psi)

    def synthesize(self, styles: Tensor, noise: Tensor | None = None) -> Tensor:
        """Generate images from styles (N, num_ws, w_dim) and noise (N, noise_size). Without `noise`, the fixed noise of the
        buffer is used."""
        noises = self._noise_maps(self.noise[None] if noise is None else noise)
        layer_styles = styles.unbind(dim=1)
        # len() would make the batch of an export static.
        x, image = self.const.expand(styles.shape[0], -1, -1, -1), None
        for block, own in zip(self.blocks, self.block_styles, strict=True):
            x, image = block(x, image, layer_styles[own], noises)
        assert image is not None
        return image

    def _noise_maps(self, noise: Tensor) -> Iterator[Tensor]:
        parts = noise.split([side**2 for side in self.layer_resolutions], dim=1)
        return (part.unflatten(1, (1, side, side)) for part, side in zip(parts, self.layer_resolutions, strict=True))
