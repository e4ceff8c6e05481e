"""The Parzen log-likelihood of the first GAN papers: the likelihood of real images under Gaussians around the generated images.

It ranks models poorly (Theis et al., 2016). It is included because those papers report no other metric.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.evaluation.metrics import Metric

WIDTHS = tuple(10 ** (-1 + tenth / 9) for tenth in range(10))  # 0.1 to 1, evenly spaced on a logarithmic scale
CHUNK_SIZE = 100  # real images


def parzen() -> dict[str, Metric]:
    """Return the metric `parzen_log_likelihood`."""
    protocol = (
        "nats per image by Parzen windows around generated images, values in [0, 1]; of the widths from 0.1 to 1 that under which "
        "every other real image is likeliest, measured on the rest"
    )
    return {"parzen_log_likelihood": Metric(log_likelihood, "target", "higher", protocol, min_images=100)}


def log_likelihood(generated: Tensor, real: Tensor) -> float:
    """Return the mean log-likelihood of one half of the real images. The other half is used to choose the kernel width."""
    best = parzen_log_densities(generated, real[0::2], WIDTHS).mean(dim=0).argmax()
    return float(parzen_log_densities(generated, real[1::2], [WIDTHS[best]]).mean())


def parzen_log_densities(generated: Tensor, real: Tensor, widths: Sequence[float]) -> Tensor:
    """Return the log-densities (N, widths) of the real images in nats, under Gaussians of each width around the generated
    images."""
    centers = generated.double().flatten(1)
    count, dimensions = centers.shape
    rows = []
    for chunk in real.double().flatten(1).split(CHUNK_SIZE):
        squares = torch.cdist(chunk, centers).square()
        rows.append(torch.stack([(squares / (-2 * width**2)).logsumexp(dim=1) for width in widths], dim=1))
    scales = [math.log(count) + dimensions * math.log(width * math.sqrt(2 * math.pi)) for width in widths]
    return torch.cat(rows) - torch.tensor(scales, dtype=torch.float64)
