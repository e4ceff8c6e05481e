"""Equalised learning rate (Karras et al., 2018): weights of unit variance, brought to their scale each time they are used, so
that an optimizer that moves all of them alike changes all layers alike."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EqualisedLinear(nn.Module):
    """`rate` is how fast it learns, beside others."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = gain * rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualisedConv(nn.Module):
    """Keeps the side of a map, or takes every second place of it."""

    def __init__(
        self, inputs: int, outputs: int, side: int, gain: float = 1.0, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.stride = gain / math.sqrt(inputs * side**2), stride

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.weight.shape[-1] // 2)


def unit_mean_square(x: Tensor) -> Tensor:
    """Every row, or every place of a map, scaled to a mean square of 1 over its channels (pixel norm)."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
