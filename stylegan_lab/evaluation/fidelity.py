"""How near images are to their true counterparts: L1, PSNR and SSIM, on values in [0, 1]."""

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure


def mean_absolute_error(images: Tensor, truth: Tensor) -> float:
    return float((images - truth).abs().mean())


def psnr(images: Tensor, truth: Tensor) -> float:
    """Decibels, per picture and then averaged, as papers report it."""
    each = peak_signal_noise_ratio(images, truth, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    return float(each)


def ssim(images: Tensor, truth: Tensor) -> float:
    """Wang et al. (2004): Gaussian window of 11 pixels, sigma 1.5, per channel and picture, averaged."""
    each = structural_similarity_index_measure(images, truth, data_range=1.0)
    assert isinstance(each, Tensor)
    return float(each)
