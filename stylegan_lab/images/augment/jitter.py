"""A square of the picture at a size that is drawn too, scaled to the size asked for: nearer or farther, never distorted."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range, whole
from stylegan_lab.images.scale import scaled
from stylegan_lab.mistake import at_least


class Jitter:
    """`share`: how much of the shorter side is seen."""

    def __init__(self, size: int, share: Sequence[float] = (0.7, 1.0)) -> None:
        at_least("augment.jitter.size", size, 1)
        self.size, self.share = size, Range("augment.jitter.share", share, 0.01, 1)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        side = max(1, round(self.share.drawn(chance) * min(height, width)))
        top, left = whole(height - side + 1, chance), whole(width - side + 1, chance)
        return scaled(images[..., top : top + side, left : left + side], self.size, self.size)
