"""Fewer pixels: what super-resolution learns to undo."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from stylegan_lab.choice import choose
from stylegan_lab.images.scale import scaled
from stylegan_lab.mistake import Mistake, at_least


class Downscale:
    """Smaller by a whole `factor`; `enlarged` scales back afterwards, for translators whose output is as large as their input."""

    def __init__(self, factor: int = 4, method: str = "bicubic", enlarged: bool = False) -> None:
        at_least("degrade.downscale.factor", factor, 1)
        choose("degrade.downscale.method", method, dict.fromkeys(("bicubic", "bilinear", "box")))
        self.factor, self.method, self.enlarged = factor, method, enlarged

    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        if height % self.factor or width % self.factor:
            raise Mistake(
                f"degrade.downscale.factor={self.factor} does not divide a picture of {width}x{height} pixels; "
                f"give a data.size that is a multiple of {self.factor}"
            )
        if self.method == "box":
            smaller = _boxed(images, self.factor)
        else:
            smaller = scaled(images, height // self.factor, width // self.factor, self.method)
        return scaled(smaller, height, width) if self.enlarged else smaller


def _boxed(images: Tensor, factor: int) -> Tensor:
    """The mean of each square."""
    if images.dtype == torch.uint8:
        return avg_pool2d(images.float(), factor).round().to(torch.uint8)
    return avg_pool2d(images, factor)
