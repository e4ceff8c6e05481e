"""A condition: what a net is told beside its picture, laid on it as constant maps."""

import torch
from torch import Tensor


def laid_on(image: Tensor, condition: Tensor) -> Tensor:
    """Pictures with a condition (N, K) as K maps behind their channels."""
    maps = condition.to(image)[:, :, None, None]
    return torch.cat([image, maps.expand(-1, -1, *image.shape[-2:])], dim=1)
