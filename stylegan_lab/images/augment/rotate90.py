"""Quarter turns, for pictures that have no up; of pictures that are not square, half turns."""

import torch
from torch import Tensor

from stylegan_lab.images.chance import happens, probable, whole


class Rotate90:
    def __init__(self, probability: float = 0.75) -> None:
        self.probability = probable("augment.rotate90.probability", probability)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        wanted, quarters = happens(self.probability, chance), 1 + whole(3, chance)
        if not wanted:
            return images
        square = images.shape[-1] == images.shape[-2]
        return images.rot90(quarters if square else 2, (-2, -1))
