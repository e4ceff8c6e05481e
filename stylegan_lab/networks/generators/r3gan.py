"""R3GAN's generator (Huang et al., 2024)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.networks.layers.r3gan import (
    BASE_SIZE,
    CLASS_EMBEDDING_DIM,
    LOW_PASS,
    ClassEmbedding,
    build_stages,
    msr_init,
    stage_widths,
)


class R3GANGenerator(nn.Module):
    """The latents are the weights of learned 4x4 basis maps. Stages of `blocks` residual blocks follow, each stage at twice the
    resolution of the last. Inside a block the channels are multiplied by `expansion`. `resampling_filter` holds the taps of
    the low-pass filter; the authors' code has 1, 3, 3, 1."""

    def __init__(
        self,
        latent_dim: int = 64,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 768,
        max_channels: int = 768,
        blocks: int = 2,
        group_size: int = 16,
        expansion: int = 2,
        embedding_dim: int = CLASS_EMBEDDING_DIM,
        resampling_filter: Sequence[float] = LOW_PASS,
    ) -> None:
        super().__init__()
        widths = stage_widths("generator", size, channels, max_channels, blocks, group_size, expansion)
        deepest = widths[-1]
        self.embedding = ClassEmbedding(latent_dim, classes, embedding_dim)
        self.basis = nn.Parameter(torch.randn(deepest, BASE_SIZE, BASE_SIZE))
        self.linear = msr_init(nn.Linear(self.embedding.out_features, deepest, bias=False))
        self.stages = build_stages([*reversed(widths)], True, blocks, group_size, expansion, resampling_filter)
        self.to_rgb = msr_init(nn.Conv2d(widths[0], image_channels, 1))

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        weights = self.linear(self.embedding(latents, condition))
        return self.to_rgb(self.stages(weights[:, :, None, None] * self.basis))
