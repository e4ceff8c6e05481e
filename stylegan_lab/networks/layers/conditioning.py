"""Layers that pass a condition (a one-hot label or a style vector) to a network: as constant maps, by conditional norms
(de Vries et al., 2017; Dumoulin et al., 2017), or by projection in the discriminator (Miyato & Koyama, 2018)."""

import torch
from torch import Tensor, nn

from stylegan_lab.networks.layers.norms import group_norm


def append_condition_maps(image: Tensor, condition: Tensor) -> Tensor:
    """Append a condition (N, K) to images as K constant maps."""
    maps = condition.to(image)[:, :, None, None]
    return torch.cat([image, maps.expand(-1, -1, *image.shape[-2:])], dim=1)


def split_condition_maps(conditioned: Tensor, image_channels: int) -> tuple[Tensor, Tensor]:
    """Split images with appended condition maps into the images and the condition, which inverts `append_condition_maps`."""
    return conditioned[:, :image_channels], conditioned[:, image_channels:, 0, 0]


class ConditionalInstanceNorm(nn.Module):
    """Instance norm whose scale and shift are computed from a condition. If the condition is a style, this is AdaIN."""

    def __init__(self, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.affine = nn.Linear(condition_channels, 2 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.affine(condition)[:, :, None, None].chunk(2, dim=1)
        return group_norm(x, self.channels) * (1 + scale) + shift


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a scale and a shift for each class. Scales are initialized from N(1, 0.02). Without classes this is a plain
    batch norm."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Parameter(1 + 0.02 * torch.randn(max(classes, 1), channels))
        self.shift = nn.Parameter(torch.zeros(max(classes, 1), channels))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        one_hot = x.new_ones(1, 1) if condition is None else condition
        scale, shift = (one_hot @ table for table in (self.scale, self.shift))
        return self.norm(x) * scale[:, :, None, None] + shift[:, :, None, None]


class ProjectionHead(nn.Module):
    """The projection discriminator's logit: a linear layer plus the inner product of the features and the class embedding."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.embedding = nn.Linear(classes, features, bias=False) if classes else None

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        logits: Tensor = self.linear(features)
        if self.embedding is None or condition is None:
            return logits
        return logits + (self.embedding(condition) * features).sum(dim=1, keepdim=True)
