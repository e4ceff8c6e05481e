"""R3GAN's shared layers (Huang et al., 2024): residual blocks of grouped convolutions, low-pass resampling."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import UserError, check_minimums

BASE_SIZE = 4  # pixels; the generator starts and the discriminator ends at this resolution
CLASS_EMBEDDING_DIM = 64
LOW_PASS = (1.0, 2.0, 1.0)
LRELU_GAIN = 2**0.5 / (1 + 0.2**2) ** 0.5  # keeps the variance through a leaky ReLU with slope 0.2


def build_stages(
    widths: Sequence[int],
    up: bool,
    blocks: int,
    group_size: int,
    expansion: int,
    resampling_filter: Sequence[float] = LOW_PASS,
) -> nn.Sequential:
    """Build stages of `blocks` residual blocks, one for each width. Between two stages are a resampler and, if the width changes,
    a 1x1 convolution."""
    scale = (blocks * len(widths)) ** (-1 / 4)  # Fixup's L^(-1 / (2m - 2)) for L blocks of m = 3 layers
    layers: list[nn.Module] = []
    for in_channels, out_channels in pairwise([widths[0], *widths]):
        layers += [InterpolativeResampler(up, resampling_filter)] if layers else []
        layers += [msr_init(nn.Conv2d(in_channels, out_channels, 1, bias=False))] if in_channels != out_channels else []
        layers += [R3GANResidualBlock(out_channels, group_size, expansion, scale) for _ in range(blocks)]
    return nn.Sequential(*layers)


class ClassEmbedding(nn.Module):
    """Concatenates the latents with an embedding of the class. Without classes the latents are returned unchanged."""

    def __init__(self, latent_dim: int, classes: int, embedding_dim: int = CLASS_EMBEDDING_DIM) -> None:
        super().__init__()
        self.out_features = latent_dim + (embedding_dim if classes else 0)
        self.embedding = msr_init(nn.Linear(classes, embedding_dim, bias=False)) if classes else None

    def forward(self, latents: Tensor, condition: Tensor | None) -> Tensor:
        return latents if self.embedding is None else torch.cat([latents, self.embedding(condition)], dim=1)


class R3GANResidualBlock(nn.Module):
    """1x1 expansion, 3x3 convolution in groups of `group_size` channels, 1x1 projection.

    The last layer is initialized with 0, and the initial weights of the others decrease with the depth of the network (Fixup;
    Zhang et al., 2019).
    """

    def __init__(self, channels: int, group_size: int, expansion: int, scale: float) -> None:
        super().__init__()
        expanded, gain = channels * expansion, LRELU_GAIN * scale
        groups = expanded // min(group_size, expanded)
        self.conv_1 = msr_init(nn.Conv2d(channels, expanded, 1, bias=False), gain)
        self.conv_2 = msr_init(nn.Conv2d(expanded, expanded, 3, padding=1, groups=groups, bias=False), gain)
        self.conv_3 = msr_init(nn.Conv2d(expanded, channels, 1, bias=False), 0.0)
        self.activation_1, self.activation_2 = BiasedActivation(expanded), BiasedActivation(expanded)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv_3(self.activation_2(self.conv_2(self.activation_1(self.conv_1(x)))))
        return x + residual


class BiasedActivation(nn.Module):
    """A bias per channel, then a leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias[:, None, None].to(x.dtype), 0.2)


class InterpolativeResampler(nn.Module):
    """Halves the resolution, or doubles it, with a separable symmetric low-pass filter and zero padding."""

    kernel: Tensor

    def __init__(self, up: bool, taps: Sequence[float] = LOW_PASS) -> None:
        super().__init__()
        row = torch.tensor(taps) * (2 if up else 1) / sum(taps)
        self.padding, self.output_padding = (len(taps) - 1) // 2, len(taps) % 2
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        groups = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(groups, -1, -1, -1)
        if self.up:
            return F.conv_transpose2d(
                x, kernel, stride=2, padding=self.padding, output_padding=self.output_padding, groups=groups
            )
        return F.conv2d(x, kernel, stride=2, padding=self.padding, groups=groups)


def msr_init(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Initialize weights from N(0, `gain`^2 / fan_in) and biases with 0, and return the layer."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / fan_in**0.5) if gain else nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def stage_widths(
    role: str, size: int, channels: int, max_channels: int, blocks: int, group_size: int, expansion: int
) -> list[int]:
    """Check the settings, and return the channels from full size down to 4x4: doubled each time, up to `max_channels`."""
    settings = {"channels": channels, "blocks": blocks, "group_size": group_size, "expansion": expansion}
    check_minimums(role, **{name: (value, 1) for name, value in settings.items()})
    levels = (size // BASE_SIZE).bit_length()
    if levels < 2 or BASE_SIZE * 2 ** (levels - 1) != size:
        raise UserError("network.size_unsupported", f"{role}.size={size} must be a power of 2 and at least 8")
    widths = [min(channels * 2**level, max_channels) for level in range(levels)]
    for expanded in (width * expansion for width in widths):
        if expanded % min(group_size, expanded):
            raise UserError(
                "network.group_size_mismatch",
                f"{role}.group_size={group_size} does not divide the {expanded} channels of a block; "
                f"set another {role}.group_size or {role}.channels",
            )
    return widths
