"""Left and right exchanged."""

import torch
from torch import Tensor

from stylegan_lab.images.chance import happens, probable


class Flip:
    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("augment.flip.probability", probability)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        return images.flip(-1) if happens(self.probability, chance) else images
