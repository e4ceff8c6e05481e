"""Padding whose gradient can be the same every time: torch's own kernels add up in no fixed order on a GPU, and refuse to
work where results have to be deterministic. Mirrored and repeated parts, joined, give the same numbers."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Mode = Literal["reflect", "replicate"]


class ReflectionPad(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return padded(x, self.width, self.width, "reflect")


def padded(x: Tensor, before: int, after: int, mode: Mode) -> Tensor:
    """`x` with so many more rows and columns before and after it."""
    if x.device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
        return joined(joined(x, before, after, mode, dim=-2), before, after, mode, dim=-1)
    return F.pad(x, (before, after, before, after), mode=mode)


def joined(x: Tensor, before: int, after: int, mode: Mode, dim: int) -> Tensor:
    size = x.shape[dim]
    if mode == "reflect":
        parts = [x.narrow(dim, 1, before).flip(dim), x, x.narrow(dim, size - 1 - after, after).flip(dim)]
    else:
        parts = [*[x.narrow(dim, 0, 1)] * before, x, *[x.narrow(dim, size - 1, 1)] * after]
    return torch.cat(parts, dim)
