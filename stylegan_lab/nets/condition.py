"""A condition: what a net is told beside its picture. It is laid on the picture as constant maps, or taken off again and read
by norms."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def laid_on(image: Tensor, condition: Tensor) -> Tensor:
    """Pictures with a condition (N, K) as K maps behind their channels."""
    maps = condition.to(image)[:, :, None, None]
    return torch.cat([image, maps.expand(-1, -1, *image.shape[-2:])], dim=1)


def taken_off(laid: Tensor, image_channels: int) -> tuple[Tensor, Tensor]:
    """The pictures, and the condition that was laid on them."""
    return laid[:, :image_channels], laid[:, image_channels:, 0, 0]


class ConditionalNorm(nn.Module):
    """Instance norm whose scale and shift are read off a condition (Dumoulin et al., 2017; AdaIN, where that is a style)."""

    def __init__(self, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.read = nn.Linear(condition_channels, 2 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.read(condition)[:, :, None, None].chunk(2, dim=1)
        out: Tensor = F.group_norm(x, self.channels) * (1 + scale) + shift
        return out
