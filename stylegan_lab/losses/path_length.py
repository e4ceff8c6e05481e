"""Path length regularization (StyleGAN2, Karras et al., 2020): equal steps in style space change all images equally."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylegan_lab.rng import randn


class PathLengthRegularizer:
    """Lazy path length regularization: every `interval` iterations with its weight scaled up to match, on 1 in
    `batch_shrink` images. `decay` is the rate of the moving average of path lengths (`pl_decay` in the published code).

    The penalty uses the average from before the step (published: after it), so that all micro-batches use the same one.
    """

    def __init__(self, weight: float = 2.0, interval: int = 4, batch_shrink: int = 2, decay: float = 0.01) -> None:
        self.weight, self.interval, self.batch_shrink, self.decay = weight, interval, batch_shrink, decay

    def is_due(self, iteration: int) -> bool:
        return self.weight > 0 and iteration % self.interval == 0

    def penalty(self, lengths: Tensor, mean: Tensor) -> Tensor:
        return self.weight * self.interval * (lengths - mean).square().mean()


def path_lengths(synthesize: Callable[[Tensor], Tensor], styles: Tensor) -> Tensor:
    """The path length of each image generated from styles (N, layers, size), differentiable and in float32.

    It is the norm of J^T y, where J is the Jacobian of the image with respect to its styles and y is a random image whose
    scale does not depend on the resolution; root mean square over layers.
    """
    with torch.autocast(styles.device.type, enabled=False):
        images = synthesize(styles)
        height, width = images.shape[-2:]
        direction = randn(len(images), *images.shape[1:], device=images.device).to(images)
        projection = (images * direction).sum() / (height * width) ** 0.5
        (gradient,) = torch.autograd.grad(projection, styles, create_graph=True)
        lengths: Tensor = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        return lengths
