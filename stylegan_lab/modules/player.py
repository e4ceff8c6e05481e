"""A player: nets that move together, and what moves them."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from stylegan_lab.nets.spectral import follow


class Player:
    """Nets that move together, and the optimizer that moves them."""

    def __init__(self, name: str, index: int, nets: Sequence[nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self.name, self.index, self.nets, self.optimizer = name, index, nets, optimizer

    def parameters(self) -> Iterator[nn.Parameter]:
        for net in self.nets:
            yield from net.parameters()

    def move(self, step: Callable[[], object]) -> None:
        """A step of the optimizer, and what follows of it."""
        step()
        for net in self.nets:
            follow(net)
