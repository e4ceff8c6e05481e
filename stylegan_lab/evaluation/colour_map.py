"""The best affine colour map: what a translation by palette alone could reach. A reference row, not a model."""

import torch
from torch import Tensor


class ColourMap:
    """Least squares from the colours of `a` to those of `b`, fitted on true pairs in [0, 1]."""

    def __init__(self, a: Tensor, b: Tensor) -> None:
        colours, wanted = _colours(a), _colours(b)
        self.matrix = torch.linalg.lstsq(_with_one(colours), wanted).solution

    def __call__(self, images: Tensor) -> Tensor:
        mapped = _with_one(_colours(images)) @ self.matrix
        n, channels, height, width = images.shape
        return mapped.float().reshape(n, height, width, channels).movedim(-1, 1).clamp(0, 1)


def _colours(images: Tensor) -> Tensor:
    return images.movedim(1, -1).reshape(-1, images.shape[1]).double()


def _with_one(colours: Tensor) -> Tensor:
    return torch.cat([colours, torch.ones_like(colours[:, :1])], dim=1)
