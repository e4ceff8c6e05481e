"""Constraints: what is done to a critic's weights after each of its steps."""

from typing import Protocol

import torch
from torch import nn


class Constraint(Protocol):
    def __call__(self, critic: nn.Module) -> None: ...


class WeightClipping:
    """WGAN (Arjovsky et al., 2017): every weight kept within +-limit."""

    def __init__(self, limit: float = 0.01) -> None:
        self.limit = limit

    @torch.no_grad()
    def __call__(self, critic: nn.Module) -> None:
        for weight in critic.parameters():
            weight.clamp_(-self.limit, self.limit)
