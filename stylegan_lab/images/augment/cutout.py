"""Cutout (DeVries and Taylor, 2017): a grey square over a part of the picture."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range, happens, probable, whole


class Cutout:
    """`share`: of the shorter side."""

    def __init__(self, probability: float = 0.5, share: Sequence[float] = (0.5, 0.5)) -> None:
        self.probability = probable("augment.cutout.probability", probability)
        self.share = Range("augment.cutout.share", share, 0, 1)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        wanted, side = happens(self.probability, chance), round(self.share.drawn(chance) * min(height, width))
        top, left = whole(height - side + 1, chance), whole(width - side + 1, chance)
        if not wanted:
            return images
        images = images.clone()
        images[..., top : top + side, left : left + side] = 128 if images.dtype == torch.uint8 else 0
        return images
