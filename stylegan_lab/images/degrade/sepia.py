"""Toned: lightness alone, from warm shadows to the yellow of old paper. Pictures without colours stay as they are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range
from stylegan_lab.images.colours import luminance
from stylegan_lab.images.convert import in_unit

SHADOWS, PAPER = (0.16, 0.10, 0.06), (0.96, 0.89, 0.74)


class Sepia:
    def __init__(self, strength: Sequence[float] = (0.5, 1.0)) -> None:
        self.strength = Range("degrade.sepia.strength", strength, 0, 1)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        strength = self.strength.drawn(chance)

        def change(unit: Tensor) -> Tensor:
            shadows, paper = (torch.tensor(colour).to(unit)[:, None, None] for colour in (SHADOWS, PAPER))
            toned = shadows + (paper - shadows) * luminance(unit)
            return unit + strength * (toned - unit)

        return in_unit(images, change) if strength and images.shape[1] in (3, 4) else images
