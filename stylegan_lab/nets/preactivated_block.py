"""StarGAN v2's residual block (Choi et al., 2020): norm and activation before each convolution, a sum of kept variance."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

NormOf = Callable[[int], nn.Module]


class PreactivatedBlock(nn.Module):
    """`halves`: averages 2x2 places between its convolutions, and on the shortcut."""

    def __init__(self, inputs: int, outputs: int, norm: NormOf | None = None, halves: bool = False) -> None:
        super().__init__()
        first, second = (norm(inputs), norm(inputs)) if norm else (nn.Identity(), nn.Identity())
        self.layers = nn.Sequential(
            first, nn.LeakyReLU(0.2), nn.Conv2d(inputs, inputs, 3, padding=1),
            nn.AvgPool2d(2) if halves else nn.Identity(),
            second, nn.LeakyReLU(0.2), nn.Conv2d(inputs, outputs, 3, padding=1),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        across = self.shortcut(x)
        out: Tensor = (self.layers(x) + (F.avg_pool2d(across, 2) if self.halves else across)) / math.sqrt(2)
        return out


def widths(channels: int, most: int, halvings: int) -> list[int]:
    """Channels before and after each of so many halvings."""
    return [min(channels * 2**halving, most) for halving in range(halvings + 1)]


def affine_instance_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(channels, channels)


def halving_trunk(image_channels: int, channels: int, most: int, halvings: int) -> tuple[nn.Sequential, int]:
    """From a picture to what is left after so many halvings, activated; and how many channels that has."""
    planned = widths(channels, most, halvings)
    trunk = nn.Sequential(
        nn.Conv2d(image_channels, channels, 3, padding=1),
        *(PreactivatedBlock(inputs, outputs, halves=True) for inputs, outputs in pairwise(planned)),
        nn.LeakyReLU(0.2),
    )
    return trunk, planned[-1]
