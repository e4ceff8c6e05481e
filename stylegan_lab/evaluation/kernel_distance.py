"""The kernel distance of two crowds (Binkowski et al., 2018): unbiased, whatever the number of pictures."""

import torch
from torch import Tensor

from stylegan_lab.evaluation.crowd import Crowd

SUBSETS = 100
MOST = 1000  # vectors a subset
SEED = 20180104


def kernel_distance(one: Crowd, other: Crowd) -> float:
    """Mean of the squared maximum mean discrepancy over random subsets; below 0 where chance has it."""
    size = min(MOST, len(one), len(other))
    dice = torch.Generator().manual_seed(SEED)
    subsets = 1 if size == len(one) == len(other) else SUBSETS  # each would be all there are
    return sum(_discrepancy(_some(one, size, dice), _some(other, size, dice)) for _ in range(subsets)) / subsets


def _some(crowd: Crowd, size: int, dice: torch.Generator) -> Tensor:
    return crowd.vectors[torch.randperm(len(crowd), generator=dice)[:size]]


def _discrepancy(one: Tensor, other: Tensor) -> float:
    """Equation 4 of the paper: none is compared with itself."""
    pairs = len(one) * (len(one) - 1)
    within = sum(alike.sum() - alike.diagonal().sum() for alike in (_alike(one, one), _alike(other, other)))
    return float(within / pairs - 2 * _alike(one, other).mean())


def _alike(one: Tensor, other: Tensor) -> Tensor:
    """The paper's kernel: (x.y / D + 1)^3."""
    return (one @ other.T / one.shape[1] + 1) ** 3
