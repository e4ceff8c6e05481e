"""Memorising: do made pictures lie nearer to those of the training than real ones do that were held out?

Plainly nearest distances would also be small for pictures that are merely smooth, or usual: those are near to everything. So
each distance to the nearest training picture is divided by that to the nearest held-out one, of which a generator knows
nothing; copies alone have small quotients. What is small is said by the held-out pictures themselves, each beside the others."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 16  # pixels; what is finer may differ in a copy
ALIKE = 0.05  # of held-out pictures count as near, and so would of fresh ones
SMALL = 1e-6

Features = Callable[[Tensor], Tensor]  # pictures (N, C, H, W) in [0, 1] to vectors (N, D)


def coarse_pixels(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images.float(), SIDE).flatten(1)


def memorised(made: Tensor, training: Tensor, held_out: Tensor, features: Features = coarse_pixels) -> float:
    """The share of made pictures that lie nearer to the training than 95% of held-out ones: about 0.05 of fresh pictures, 1 of
    copies."""
    samples, known, fresh = features(made), features(training), features(held_out)
    line = torch.quantile(_nearness(fresh, known, fresh, itself=True), ALIKE)
    return float((_nearness(samples, known, fresh) < line).float().mean())


def _nearness(crowd: Tensor, known: Tensor, fresh: Tensor, itself: bool = False) -> Tensor:
    """To the nearest known over to the nearest fresh one; of fresh ones, to the nearest but `itself`."""
    to_known, to_fresh = _nearest(crowd, known, 1), _nearest(crowd, fresh, 2 if itself else 1)
    return to_known / to_fresh.clamp_min(SMALL)


def _nearest(crowd: Tensor, others: Tensor, which: int) -> Tensor:
    parts = [torch.cdist(part, others).topk(which, dim=1, largest=False).values[:, -1] for part in crowd.split(512)]
    return torch.cat(parts)
