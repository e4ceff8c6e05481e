"""Scratches of the surface: thin lines, upright more or less, most of them light, that come and go along their way."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.images.chance import Range, happens
from stylegan_lab.images.convert import in_unit

LIGHT, DARK = 0.95, 0.12
PLACE, TOP, LENGTH = Range("place", (0, 1)), Range("top", (0, 0.8)), Range("length", (0.1, 0.8))
LEAN, BEND, WIDTH = Range("lean", (-0.2, 0.2), -1), Range("bend", (-0.02, 0.02), -1), Range("width", (0.4, 1.1))


class Scratches:
    """`strength`: how much of the picture a scratch covers up where it is."""

    def __init__(self, count: Sequence[float] = (0, 6), strength: Sequence[float] = (0.3, 0.8)) -> None:
        self.count = Range("degrade.scratches.count", count)
        self.strength = Range("degrade.scratches.strength", strength, 0, 1)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        strength, count = self.strength.drawn(chance), round(self.count.drawn(chance))
        height, width = images.shape[-2:]
        marks = [(_scratch(height, width, chance), DARK if happens(0.2, chance) else LIGHT) for _ in range(count)]

        def change(unit: Tensor) -> Tensor:
            for mark, level in marks:
                unit = unit + strength * mark * (level - unit)
            return unit

        return in_unit(images, change) if strength and count else images


def _scratch(height: int, width: int, chance: torch.Generator) -> Tensor:
    """(H, W): 1 in the line, 0 beside it."""
    place, top, length, lean, bend, thick = (each.drawn(chance) for each in (PLACE, TOP, LENGTH, LEAN, BEND, WIDTH))
    y = (torch.arange(height) / height)[:, None]
    along = (y - top) / length
    line = place + lean * (y - top) + bend * torch.sin(3 * along)
    away = (torch.arange(width) / width - line).abs() * width / max(0.5, thick * min(height, width) / 256)
    worn = torch.rand(8, generator=chance)[(along * 8).long().clamp(0, 7)]  # how deep it is, piece by piece
    return (1.5 - away).clamp(0, 1) * ((along >= 0) & (along <= 1)) * (0.35 + 0.65 * worn)
