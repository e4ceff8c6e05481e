"""Diversity: how far pictures of one set lie apart, beside those of another."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.album import Pictures

AT_ONCE = 1024  # pictures
SIDE = 16  # pixels; what is finer may differ while the pictures are the same


def diversity(pictures: Pictures, reference: Pictures) -> float:
    """Root mean square distance within `pictures` over that within `reference`: about 1, and 0 when all are one."""
    return float(_spread(pictures) / _spread(reference).clamp_min(1e-12))


def _spread(pictures: Pictures) -> Tensor:
    small = torch.cat([F.adaptive_avg_pool2d(part.float(), SIDE) for part in pictures.split(AT_ONCE)])
    return torch.var(small, dim=0, unbiased=False).mean().sqrt()
