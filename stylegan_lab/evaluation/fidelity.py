"""How near images are to their true counterparts: L1, PSNR, SSIM and MS-SSIM, on values in [0, 1]."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

BATCH = 16
WINDOW = 11
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of Wang et al. (2003), the finest scale first


def mean_absolute_error(images: Tensor, truth: Tensor) -> float:
    return float((images - truth).abs().mean())


def psnr(images: Tensor, truth: Tensor) -> float:
    """Decibels, per picture and then averaged, as papers report it."""
    each = peak_signal_noise_ratio(images, truth, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    return float(each)


def ssim(images: Tensor, truth: Tensor) -> float:
    """Wang et al. (2004): Gaussian window of 11 pixels, sigma 1.5, per channel and picture, averaged."""
    return _averaged(partial(structural_similarity_index_measure, data_range=1.0), images, truth)


def ms_ssim(images: Tensor, truth: Tensor) -> float:
    """Wang et al. (2003), of as many scales as there is room for; a product that would be negative counts as 0."""
    betas = EXPONENTS[: _scales(min(images.shape[-2:]))]
    measure = partial(
        multiscale_structural_similarity_index_measure,
        data_range=1.0,
        betas=tuple(beta / sum(betas) for beta in betas),
        normalize="relu",
    )
    return _averaged(measure, images, truth)


def _averaged(measure: Callable[..., Any], images: Tensor, truth: Tensor) -> float:
    """Over pictures, of which a few are looked at together: what is in between takes many times their memory."""
    parts = zip(images.split(BATCH), truth.split(BATCH), strict=True)
    return sum(len(one) * float(measure(one, other)) for one, other in parts) / len(images)


def _scales(side: int) -> int:
    """Whose smallest holds a window; with one to spare, as torchmetrics asks it."""
    return max(
        count
        for count in range(1, len(EXPONENTS) + 1)
        if count == 1 or min(side // 2 ** (count - 1), side // (count - 1) ** 2) >= WINDOW
    )
