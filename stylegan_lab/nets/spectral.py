"""Spectral norm (Miyato et al., 2018): weights divided by their largest singular value, so that a layer stretches nothing.

The published power iteration goes on by one step whenever the weights have moved, and at no other time: a forward pass
changes nothing, so that a batch may be seen in parts and a judgement may be asked for twice.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

AT_FIRST = 15  # steps, from a random direction


class SpectralNorm(nn.Module):
    """Of a weight whose outputs come first, or second where it is `transposed`."""

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        matrix = self._matrix(weight)
        self.register_buffer("left", nn.functional.normalize(torch.randn(matrix.shape[0]), dim=0).to(matrix))
        self.register_buffer("right", torch.zeros(matrix.shape[1]).to(matrix))
        self.follow(weight, AT_FIRST)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return weight / (self.left @ self._matrix(weight) @ self.right)

    @torch.no_grad()
    def follow(self, weight: Tensor, steps: int = 1) -> None:
        matrix = self._matrix(weight)
        for _ in range(steps):
            self.right.copy_(nn.functional.normalize(matrix.T @ self.left, dim=0))
            self.left.copy_(nn.functional.normalize(matrix @ self.right, dim=0))

    def _matrix(self, weight: Tensor) -> Tensor:
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)


def normalise_spectrally(net: nn.Module) -> None:
    """Every convolution and every line of a net, which have their first weights."""
    for layer in list(net.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            norm = SpectralNorm(layer.weight, isinstance(layer, nn.ConvTranspose2d))
            parametrize.register_parametrization(layer, "weight", norm, unsafe=True)


def follow(net: nn.Module) -> None:
    """The weights of a net have moved."""
    for layer in net.modules():
        if isinstance(layer, parametrize.ParametrizationList):
            for norm in layer:
                if isinstance(norm, SpectralNorm):
                    norm.follow(layer.original)
