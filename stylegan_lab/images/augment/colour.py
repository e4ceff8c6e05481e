"""Brightness, contrast and saturation: of each pixel alone, so that the pictures of a sample stay alike."""

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range
from stylegan_lab.images.colours import saturated
from stylegan_lab.images.convert import in_unit
from stylegan_lab.mistake import at_least


class Colour:
    """Each times a factor between 1 less and 1 more its strength; contrast is about middle grey."""

    def __init__(self, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2) -> None:
        strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        for name, strength in strengths.items():
            at_least(f"augment.colour.{name}", strength, 0)
        self.factors = [
            Range(f"augment.colour.{name}", (max(0.0, 1 - strength), 1 + strength))
            for name, strength in strengths.items()
        ]

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        brightness, contrast, saturation = (factor.drawn(chance) for factor in self.factors)

        def change(unit: Tensor) -> Tensor:
            return (saturated(unit * brightness, saturation) - 0.5) * contrast + 0.5

        return images if brightness == contrast == saturation == 1 else in_unit(images, change)
