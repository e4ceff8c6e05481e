"""StyleGAN2's shared layers (Karras et al., 2020): modulated convolution, mapping network, clamped leaky ReLU."""

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.layers.progan import EqualizedLinear, pixel_norm
from stylegan_lab.networks.layers.resampling import BlurPool, PaddingMode

Architecture = Literal["skip", "residual", "plain"]
# Whether RGB outputs of all resolutions are summed (generator) or the image enters at all resolutions (discriminator), and
# whether blocks have a residual shortcut.
ARCHITECTURES = {"skip": (True, False), "residual": (False, True), "plain": (False, False)}


class ModulatedConv2d(nn.Module):
    """Convolution whose weights are modulated by a style and, with `demodulate`, normalized to unit norm per output channel.

    Input and output channels are scaled in place of the weights. This gives the same sum without a separate convolution per image.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        w_dim: int,
        demodulate: bool = True,
        upsample: bool = False,
        padding: PaddingMode = "reflect",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.scale, self.demodulate = 1 / math.sqrt(in_channels * kernel_size**2), demodulate
        self.affine = EqualizedLinear(w_dim, in_channels, bias=1.0)
        self.blur = BlurPool(out_channels, kernel_size=4, stride=1, padding=padding) if upsample else None

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            modulation, demodulation = self.scales(style)
        modulated = x * modulation.to(x.dtype)[:, :, None, None]
        weight = self.weight * self.scale
        if self.blur is None:
            out = F.conv2d(modulated, weight, padding=weight.shape[-1] // 2)
        else:  # the factor 4 makes up for the zeros inserted between pixels
            upsampled = F.conv_transpose2d(modulated, 4 * weight.transpose(0, 1), stride=2)
            out = self.blur(upsampled)[:, :, :-1, :-1]
        return out if demodulation is None else out * demodulation.to(out.dtype)[:, :, None, None]

    def scales(self, style: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the factors of input channels (modulation) and of output channels (demodulation; Eq. 1 and 3)."""
        modulation = self.affine(style)
        if not self.demodulate:
            return modulation, None
        largest = modulation.detach().abs().amax(dim=1, keepdim=True).clamp_min(1e-8)
        modulation = modulation / largest  # cancels in the demodulation; keeps fp16 from overflowing
        squares = (self.weight * self.scale).square().sum(dim=(2, 3))
        return modulation, torch.rsqrt(modulation.square() @ squares.T + 1e-8)


class MappingNetwork(nn.Module):
    """Maps latents to styles (w). With classes, the latents are concatenated with a class embedding first."""

    def __init__(self, latent_dim: int, classes: int, w_dim: int, num_layers: int) -> None:
        super().__init__()
        self.embedding = EqualizedLinear(classes, w_dim) if classes else None
        widths = [latent_dim + (w_dim if classes else 0), *[w_dim] * num_layers]
        self.layers = nn.ModuleList(EqualizedLinear(*pair, lr_mult=0.01) for pair in pairwise(widths))

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        with torch.autocast(latents.device.type, enabled=False):
            x = pixel_norm(latents)
            if self.embedding is not None:
                x = torch.cat([x, pixel_norm(self.embedding(condition))], dim=1)
            for layer in self.layers:
                x = lrelu_clamped(layer(x))
            return x


def lrelu_clamped(x: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU with slope 0.2, scaled by sqrt(2) to keep the variance, and optionally clamped."""
    x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    return x if clamp is None else x.clamp(-clamp, clamp)


def to_full_precision(x: Tensor) -> Tensor:
    """Convert float16 and bfloat16 to float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
