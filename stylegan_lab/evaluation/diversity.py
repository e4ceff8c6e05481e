"""Diversity: how far pictures of one set lie apart, beside those of another."""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 16  # pixels; what is finer may differ while the pictures are the same


def diversity(pictures: Tensor, reference: Tensor) -> float:
    """Root mean square distance within `pictures` over that within `reference`: about 1, and 0 when all are one."""
    return float(_spread(pictures) / _spread(reference).clamp_min(1e-12))


def _spread(pictures: Tensor) -> Tensor:
    small = F.adaptive_avg_pool2d(pictures.float(), SIDE)
    return torch.var(small, dim=0, unbiased=False).mean().sqrt()
