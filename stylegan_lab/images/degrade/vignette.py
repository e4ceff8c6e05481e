"""Darker towards the corners, about a centre a little off the middle."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range
from stylegan_lab.images.convert import in_unit

CENTRE = Range("centre", (0.4, 0.6))


class Vignette:
    """`strength`: how much of the light is lost at a corner."""

    def __init__(self, strength: Sequence[float] = (0.2, 0.6)) -> None:
        self.strength = Range("degrade.vignette.strength", strength, 0, 1)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        strength, y, x = self.strength.drawn(chance), CENTRE.drawn(chance), CENTRE.drawn(chance)
        height, width = images.shape[-2:]
        down = (torch.linspace(0, 1, height) - y)[:, None] / 0.5
        across = (torch.linspace(0, 1, width) - x) / 0.5
        lost = strength * ((down**2 + across**2) / 2).clamp(max=1) ** 1.5
        return in_unit(images, lambda unit: unit * (1 - lost)) if strength else images
