"""A player: networks that are optimized together, and their optimizer."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from stylegan_lab.networks.layers.spectral_norm import update_spectral_norm


class Player:
    """Networks that are optimized together, and their optimizer. GAN papers call the generator and the discriminator the players
    of a game."""

    def __init__(self, name: str, index: int, networks: Sequence[nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self.name, self.index, self.networks, self.optimizer = name, index, networks, optimizer

    def parameters(self) -> Iterator[nn.Parameter]:
        for network in self.networks:
            yield from network.parameters()

    @property
    def has_gradients(self) -> bool:
        return any(parameter.grad is not None for parameter in self.parameters())

    def step(self, optimizer_step: Callable[[], object]) -> None:
        """Take an optimizer step, then update the power iteration of spectral norms."""
        optimizer_step()
        for network in self.networks:
            update_spectral_norm(network)
