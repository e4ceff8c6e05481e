"""Conditional batch norm (de Vries et al., 2017; Miyato & Koyama, 2018): each class has scales and shifts of its own."""

import torch
from torch import Tensor, nn


class ClassNorm(nn.Module):
    """A row of scales, first N(1, 0.02), and one of shifts for each class; without classes, one for all pictures."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Parameter(1 + 0.02 * torch.randn(max(classes, 1), channels))
        self.shift = nn.Parameter(torch.zeros(max(classes, 1), channels))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        rows = x.new_ones(1, 1) if condition is None else condition
        scaled: Tensor = self.norm(x) * (rows @ self.scale)[:, :, None, None] + (rows @ self.shift)[:, :, None, None]
        return scaled
