"""Metrics computed on pixels in [0, 1]. They compare images with the ground truth, the input or the target domain."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim_of_batch
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.functional.image import structural_similarity_index_measure as ssim_of_batch

from stylegan_lab.images.image_store import ImageSet, resize_in_chunks

LUMA_WEIGHTS = torch.tensor([0.299, 0.587, 0.114])


def edge_correlation(images: Tensor, inputs: Tensor) -> float:
    """Return how well the edges of images match the edges of their inputs. No ground truth is needed.

    This is the correlation of the Sobel gradient magnitudes of the luminance. It is 1 if every edge stayed in place, and 0 if the
    edges are unrelated.
    """
    return float(F.cosine_similarity(_edges(images), _edges(inputs), dim=1).mean())


def _edges(images: Tensor) -> Tensor:
    """Return the gradient magnitudes (N, H * W) less the mean of each image."""
    weights = LUMA_WEIGHTS if images.shape[1] == 3 else torch.full((images.shape[1],), 1 / images.shape[1])
    gray = torch.einsum("nchw,c->nhw", images.float(), weights.to(images.device))[:, None]
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], device=images.device)
    gradient = F.conv2d(F.pad(gray, (1, 1, 1, 1), mode="reflect"), torch.stack([sobel, sobel.T])[:, None])
    magnitudes = gradient.square().sum(1).sqrt().flatten(1)
    return magnitudes - magnitudes.mean(1, keepdim=True)


DIVERSITY_SIZE = 16  # pixels; finer detail may differ between images that show the same thing


def diversity(images: ImageSet, reference: ImageSet) -> float:
    """Return the root mean square distance within `images`, divided by the same distance within `reference`.

    It is about 1 if both sets have the same distribution, and 0 if all images are equal.
    """
    return float(_spread(images) / _spread(reference).clamp_min(1e-12))


def _spread(images: ImageSet) -> Tensor:
    small = resize_in_chunks(images, DIVERSITY_SIZE, lambda chunk: F.adaptive_avg_pool2d(chunk, DIVERSITY_SIZE))
    return torch.var(small, dim=0, unbiased=False).mean().sqrt()


BATCH, WINDOW = 16, 11
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. (2003), from the finest scale to the coarsest


def mean_absolute_error(images: Tensor, truth: Tensor) -> float:
    """Return the mean absolute difference of the pixel values (L1)."""
    return float((images - truth).abs().mean())


def psnr(images: Tensor, truth: Tensor) -> float:
    """Return the PSNR in decibels, computed per image and then averaged, as papers report it."""
    each = peak_signal_noise_ratio(images, truth, data_range=1.0, dim=(1, 2, 3), reduction="elementwise_mean")
    return float(each)


def ssim(images: Tensor, truth: Tensor) -> float:
    """Return the SSIM (Wang et al., 2004) with a Gaussian window of 11 pixels and sigma 1.5, averaged over channels and images.

    As in torchmetrics, every pixel has a window and borders are mirrored. The paper averages only over windows inside the image.
    """
    return _averaged(partial(ssim_of_batch, data_range=1.0), images, truth)


def ms_ssim(images: Tensor, truth: Tensor) -> float:
    """Return the MS-SSIM (Wang et al., 2003) over as many scales as the image size allows. Negative factors count as 0."""
    exponents = EXPONENTS[: _scales(min(images.shape[-2:]))]
    betas = tuple(exponent / sum(exponents) for exponent in exponents)
    compute = partial(ms_ssim_of_batch, data_range=1.0, betas=betas, normalize="relu")
    return _averaged(compute, images, truth)


def _averaged(compute: Callable[..., Any], images: Tensor, truth: Tensor) -> float:
    """Average over the images in small batches: the intermediate maps take many times the memory of the images."""
    batches = zip(images.split(BATCH), truth.split(BATCH), strict=True)
    return sum(len(batch) * float(compute(batch, true)) for batch, true in batches) / len(images)


def _scales(side: int) -> int:
    """Return the number of scales whose coarsest still holds a window, by the stricter rule of torchmetrics."""
    halvings = range(1, len(EXPONENTS))
    return 1 + max((n for n in halvings if min(side // 2**n, side // n**2) >= WINDOW), default=0)
