"""The Parzen log-likelihood of the first GAN papers: what a mixture of Gaussians around made pictures says of real ones.

It is known to rank models badly (Theis et al., 2016), and stands here because those papers give no other number."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.evaluation.metrics import Metric

WIDTHS = tuple(10 ** (-1 + tenth / 9) for tenth in range(10))  # 0.1 to 1, evenly spaced in their logarithm
AT_ONCE = 100  # real pictures


def parzen() -> dict[str, Metric]:
    protocol = (
        "nats a picture by Parzen windows around made pictures, values in [0, 1]; of the widths from 0.1 to 1 that under which "
        "every other real picture is likeliest, measured on the rest"
    )
    return {"parzen_log_likelihood": Metric(log_likelihood, "target", "higher", protocol, least=100)}


def log_likelihood(made: Tensor, real: Tensor) -> float:
    """The width is chosen on one half of the real pictures; the mean is over the other."""
    chosen = log_densities(made, real[0::2], WIDTHS).mean(dim=0).argmax()
    return float(log_densities(made, real[1::2], [WIDTHS[chosen]]).mean())


def log_densities(made: Tensor, real: Tensor, widths: Sequence[float]) -> Tensor:
    """Of each real picture (a row) around made ones of each width, in nats."""
    centres = made.double().flatten(1)
    count, dimensions = centres.shape
    rows = []
    for some in real.double().flatten(1).split(AT_ONCE):
        squares = torch.cdist(some, centres).square()
        rows.append(torch.stack([(squares / (-2 * width**2)).logsumexp(dim=1) for width in widths], dim=1))
    scales = [math.log(count) + dimensions * math.log(width * math.sqrt(2 * math.pi)) for width in widths]
    return torch.cat(rows) - torch.tensor(scales, dtype=torch.float64)
