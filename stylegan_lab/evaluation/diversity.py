"""Diversity: how far pictures of one set lie apart, beside those of another."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.gallery import PictureSet, in_parts

SIDE = 16  # pixels; what is finer may differ while the pictures are the same


def diversity(pictures: PictureSet, reference: PictureSet) -> float:
    """Root mean square distance within `pictures` over that within `reference`: about 1, and 0 when all are one."""
    return float(_spread(pictures) / _spread(reference).clamp_min(1e-12))


def _spread(pictures: PictureSet) -> Tensor:
    small = in_parts(pictures, SIDE, lambda part: F.adaptive_avg_pool2d(part, SIDE))
    return torch.var(small, dim=0, unbiased=False).mean().sqrt()
