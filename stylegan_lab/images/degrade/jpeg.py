"""Saved as JPEG: blocks, and rings around edges."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylegan_lab.images.chance import Range
from stylegan_lab.images.convert import in_unit


class Jpeg:
    """`strength` from 0 (as it was) over just above 0 (quality 95) to 1 (quality 5)."""

    def __init__(self, strength: Sequence[float] = (0.0, 0.7)) -> None:
        self.strength = Range("degrade.jpeg.strength", strength, 0, 1)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        strength = self.strength.drawn(chance)
        quality = round(95 - 90 * strength)
        return in_unit(images, lambda unit: _saved(unit, quality)) if strength else images


def _saved(unit: Tensor, quality: int) -> Tensor:
    """RGB together, other channels each alone."""
    together = 3 if unit.shape[1] == 3 else 1
    height, width = unit.shape[-2:]
    pictures = (
        (unit.reshape(-1, together, height, width) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    )
    read = np.stack([_read_back(picture.squeeze(-1).numpy(), quality) for picture in pictures])
    planes = torch.from_numpy(read).reshape(-1, height, width, together).permute(0, 3, 1, 2)
    return planes.reshape(unit.shape).to(unit) / 255


def _read_back(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file, formats=("JPEG",)) as picture:
        return np.asarray(picture)
