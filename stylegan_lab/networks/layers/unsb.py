"""The time conditioning of UNSB's networks (Kim et al., 2024)."""

import math

import torch
from torch import Tensor, nn

from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm
from stylegan_lab.networks.layers.progan import pixel_norm

MAX_PERIOD = 10_000


class TimeEmbedding(nn.Module):
    """An MLP on the sinusoidal embedding (Vaswani et al., 2017) of a time step, which is counted from 0."""

    table: Tensor

    def __init__(self, num_timesteps: int, embedding_dim: int, out_dim: int) -> None:
        super().__init__()
        half = embedding_dim // 2
        frequencies = torch.exp(torch.arange(half) * (-math.log(MAX_PERIOD) / max(half - 1, 1)))
        angles = torch.arange(num_timesteps)[:, None] * frequencies
        self.register_buffer("table", torch.cat([angles.sin(), angles.cos()], dim=1), persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(2 * half, out_dim), nn.LeakyReLU(0.2), nn.Linear(out_dim, out_dim), nn.LeakyReLU(0.2)
        )

    def forward(self, step: int) -> Tensor:
        """Return the embedding (1, out_dim) of a time step."""
        embedding: Tensor = self.layers(self.table[step : step + 1])
        return embedding


def reset_conditioning(net: nn.Module) -> None:
    """Give the linear layers of embeddings and conditional norms torch's default weights, and zero biases.

    With the small weights of GAN initializations, the condition would have almost no effect at the start.
    """
    for module in net.modules():
        linears = [module.affine] if isinstance(module, ConditionalInstanceNorm) else []
        if isinstance(module, TimeEmbedding | LatentMapping):
            linears = [layer for layer in module.layers if isinstance(layer, nn.Linear)]
        for linear in linears:
            linear.reset_parameters()
            nn.init.zeros_(linear.bias)


class LatentMapping(nn.Module):
    """The mapping network: `depth` linear layers on a latent that is normalized to a mean square of 1."""

    def __init__(self, latent_dim: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for _ in range(depth):
            self.layers.extend([nn.Linear(latent_dim, latent_dim), nn.LeakyReLU(0.2)])

    def forward(self, latent: Tensor) -> Tensor:
        mapped: Tensor = self.layers(pixel_norm(latent))
        return mapped
