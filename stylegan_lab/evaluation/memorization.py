"""Memorization: are generated images closer to the training images than held-out real images are?

Smooth images are close to all others. Therefore the distance to the nearest training image is divided by the distance to the
nearest held-out image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

COMPARED_SIZE = 16  # pixels; finer detail may differ in a copy
EXPECTED_SHARE = 0.05  # of held-out images, and of new images of the same distribution, that count as close
MIN_DISTANCE = 1e-6  # avoids a division by zero


def memorization(generated: Tensor, training: Tensor, held_out: Tensor) -> float:
    """Return the share of generated images that are closer to the training images, in relation to the held-out images, than 95% of
    the held-out images are.

    It is about 0.05 for new images and 1 for copies.
    """
    samples, train, held = (
        F.adaptive_avg_pool2d(images.float(), COMPARED_SIZE).flatten(1) for images in (generated, training, held_out)
    )
    threshold = torch.quantile(_distance_ratio(held, train, held, exclude_self=True), EXPECTED_SHARE)
    return float((_distance_ratio(samples, train, held) < threshold).float().mean())


def _distance_ratio(vectors: Tensor, train: Tensor, held: Tensor, exclude_self: bool = False) -> Tensor:
    """Divide each distance to the nearest training image by that to the nearest held-out image (other than itself)."""
    to_held = _nearest(vectors, held, 2 if exclude_self else 1)
    return _nearest(vectors, train, 1) / to_held.clamp_min(MIN_DISTANCE)


def _nearest(vectors: Tensor, others: Tensor, rank: int) -> Tensor:
    """Return the distance of each vector to its `rank`-nearest vector of the others."""
    chunks = vectors.split(512)
    return torch.cat([torch.cdist(chunk, others).topk(rank, dim=1, largest=False).values[:, -1] for chunk in chunks])
