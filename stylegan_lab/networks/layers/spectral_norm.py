"""Spectral norm (Miyato et al., 2018): weights divided by their largest singular value.

The power iteration advances by one step whenever the optimizer has changed the weights (`update_spectral_norm`). A forward pass
changes nothing, so a batch can be split into micro-batches and a discriminator called twice with the same result.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class SpectralNorm(nn.Module):
    """The parametrization of a weight by spectral norm. The first dimension of the weight is that of the outputs; with
    `transposed` it is the second."""

    u: Tensor  # approximates the left singular vector of the largest singular value
    v: Tensor  # the right one

    def __init__(self, weight: Tensor, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        matrix = self._matrix(weight)
        self.register_buffer("u", nn.functional.normalize(torch.randn(matrix.shape[0]), dim=0).to(matrix))
        self.register_buffer("v", torch.zeros(matrix.shape[1]).to(matrix))
        self.power_iteration(weight, steps=15)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return weight / (self.u @ self._matrix(weight) @ self.v)

    @torch.no_grad()
    def power_iteration(self, weight: Tensor, steps: int = 1) -> None:
        matrix = self._matrix(weight)
        with torch.autocast(weight.device.type, enabled=False):  # it would multiply in half precision
            for _ in range(steps):
                self.v.copy_(nn.functional.normalize(matrix.T @ self.u, dim=0))
                self.u.copy_(nn.functional.normalize(matrix @ self.v, dim=0))

    def _matrix(self, weight: Tensor) -> Tensor:
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)


def apply_spectral_norm(net: nn.Module) -> None:
    """Add spectral norm to every convolution and linear layer. The weights must be initialized before."""
    for layer in list(net.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            norm = SpectralNorm(layer.weight, isinstance(layer, nn.ConvTranspose2d))
            parametrize.register_parametrization(layer, "weight", norm, unsafe=True)


def update_spectral_norm(net: nn.Module) -> None:
    """Advance the power iteration. Call this after each optimizer step."""
    for layer in net.modules():
        if isinstance(layer, parametrize.ParametrizationList) and isinstance(layer[0], SpectralNorm):
            layer[0].power_iteration(layer.original)
