"""Grain of film: the same in all colours, strongest in the middle tones."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range
from stylegan_lab.images.colours import luminance
from stylegan_lab.images.convert import in_unit
from stylegan_lab.images.degrade.blur import blurred


class Grain:
    """`strength` is the deviation in middle grey, of a lightness from 0 to 1; `size` the blur of a grain in pixels."""

    def __init__(self, strength: Sequence[float] = (0.01, 0.04), size: Sequence[float] = (0.3, 0.8)) -> None:
        self.strength = Range("degrade.grain.strength", strength, 0, 1)
        self.size = Range("degrade.grain.size", size)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        strength, size = self.strength.drawn(chance), self.size.drawn(chance)
        height, width = images.shape[-2:]
        noise = blurred(torch.randn((1, 1, height, width), generator=chance), size * min(height, width) / 256)
        noise = strength * noise / noise.std(correction=0).clamp(min=1e-6)

        def change(unit: Tensor) -> Tensor:
            light = luminance(unit)
            return unit + noise * (0.3 + 2.8 * light * (1 - light))

        return in_unit(images, change) if strength else images
