"""Style as statistics of feature maps: Gram matrices (Gatys et al., 2016), means and deviations (Huang & Belongie, 2017)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from stylegan_lab.losses.terms import precise

Statistics = Literal["gram", "moments"]


def gram(maps: Tensor) -> Tensor:
    """Products of all pairs of channels, over C * H * W as Johnson et al. (2016) divide; Gatys et al. divide by H * W."""
    batch, channels, height, width = maps.shape
    flat = precise(maps).reshape(batch, channels, height * width)
    with torch.autocast(maps.device.type, enabled=False):  # which would multiply in half precision again
        return flat @ flat.transpose(1, 2) / (channels * height * width)


def moments(maps: Tensor, epsilon: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and (biased) deviation of each channel, (N, C, 1, 1)."""
    maps = precise(maps)
    variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True, unbiased=False)
    return mean, (variance + epsilon).sqrt()


def gram_distance(maps: Tensor, reference: Tensor) -> Tensor:
    """Mean squared distance of Gram matrices."""
    return (gram(maps) - gram(reference)).square().mean()


def moments_distance(maps: Tensor, reference: Tensor) -> Tensor:
    """Squared distances of means and deviations, summed over channels as published."""
    (mean, deviation), (wanted_mean, wanted_deviation) = moments(maps), moments(reference)
    apart = (mean - wanted_mean).square() + (deviation - wanted_deviation).square()
    return apart.sum(dim=1).mean()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"gram": gram_distance, "moments": moments_distance}
