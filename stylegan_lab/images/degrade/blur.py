"""Out of focus: a Gaussian."""

from collections.abc import Sequence
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.chance import Range
from stylegan_lab.images.convert import in_unit


class Blur:
    """`strength` is the deviation in pixels."""

    def __init__(self, strength: Sequence[float] = (0.0, 1.0)) -> None:
        self.strength = Range("degrade.blur.strength", strength)

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        deviation = self.strength.drawn(chance) * min(images.shape[-2:]) / 256
        return in_unit(images, lambda unit: blurred(unit, deviation)) if deviation else images


def blurred(images: Tensor, deviation: float) -> Tensor:
    if deviation <= 0:
        return images
    reach = ceil(3 * deviation)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2).to(images)
    bell = bell / bell.sum()
    count, channels, height, width = images.shape
    planes = F.pad(images.reshape(count * channels, 1, height, width), (reach,) * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, bell[None, None, :, None]), bell[None, None, None, :])
    return planes.reshape(images.shape)
