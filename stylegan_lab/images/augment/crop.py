"""A square of the picture, anywhere in it."""

import torch
from torch import Tensor

from stylegan_lab.images.chance import whole
from stylegan_lab.mistake import Mistake, at_least


class Crop:
    def __init__(self, size: int) -> None:
        at_least("augment.crop.size", size, 1)
        self.size = size

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        if min(height, width) < self.size:
            raise Mistake(
                f"augment.crop.size={self.size}: a picture of {width}x{height} pixels is smaller; "
                "scale them to no less (data.load_size, and fit=shortest or resize)"
            )
        top, left = whole(height - self.size + 1, chance), whole(width - self.size + 1, chance)
        return images[..., top : top + self.size, left : left + self.size]
