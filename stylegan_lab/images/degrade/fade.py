"""Bleached: blacks lifted, whites dulled, colours paler."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range
from stylegan_lab.images.colours import saturated
from stylegan_lab.images.convert import in_unit

BLACK, WHITE, PALER = 0.35, 0.1, 0.7  # what full strength does


class Fade:
    def __init__(self, strength: Sequence[float] = (0.2, 0.7)) -> None:
        self.strength = Range("degrade.fade.strength", strength, 0, 1)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        strength = self.strength.drawn(chance)
        black, white = BLACK * strength, 1 - WHITE * strength

        def change(unit: Tensor) -> Tensor:
            return black + (white - black) * saturated(unit, 1 - PALER * strength)

        return in_unit(images, change) if strength else images
