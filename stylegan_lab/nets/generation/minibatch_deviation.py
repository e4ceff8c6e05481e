"""Minibatch standard deviation (Karras et al., 2018): a critic sees how far the pictures of a group differ."""

import torch
from torch import Tensor, nn


class MinibatchDeviation(nn.Module):
    """One map more, the same everywhere: the deviation over a group of `group` pictures, averaged over channels and places.
    A group's pictures lie apart in the batch, by the number of groups. What does not divide the batch is made smaller."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        count = len(x)
        group = next(size for size in range(min(self.group, count), 0, -1) if count % size == 0)
        grouped = x.unflatten(0, (group, -1))
        deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        told = deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        return torch.cat([x, told], dim=1)
