"""Path length regularization (StyleGAN2, Karras et al., 2020): equal steps in style space change all images equally."""

from collections.abc import Callable

import torch
from torch import Tensor

from stylegan_lab.rng import randn


class PathLengthRegularizer:
    """Lazy path length regularization: it is computed every `interval` iterations, on 1 in `batch_shrink` images, and its weight
    is multiplied by `interval`. `decay` is the rate of the moving average of path lengths (`pl_decay` in the published code).

    The penalty uses the moving average from before the step, so that all micro-batches use the same value. The published code
    uses the average from after the step.
    """

    def __init__(self, weight: float = 2.0, interval: int = 4, batch_shrink: int = 2, decay: float = 0.01) -> None:
        self.weight, self.interval, self.batch_shrink, self.decay = weight, interval, batch_shrink, decay

    def is_due(self, iteration: int) -> bool:
        return self.weight > 0 and iteration % self.interval == 0

    def penalty(self, lengths: Tensor, mean: Tensor) -> Tensor:
        return self.weight * self.interval * (lengths - mean).square().mean()


def path_lengths(synthesize: Callable[[Tensor], Tensor], styles: Tensor) -> Tensor:
    """Return the path length of each image generated from styles (N, layers, size), in float32. The result is differentiable.

    The path length is the norm of J^T y for each layer, combined over the layers by the root mean square. J is the Jacobian of
    the image with respect to its styles. y is Gaussian noise of the size of the image, scaled so that the result does not depend
    on the resolution.
    """
    with torch.autocast(styles.device.type, enabled=False):
        images = synthesize(styles)
        height, width = images.shape[-2:]
        direction = randn(len(images), *images.shape[1:], device=images.device).to(images)
        projection = (images * direction).sum() / (height * width) ** 0.5
        (gradient,) = torch.autograd.grad(projection, styles, create_graph=True)
        lengths: Tensor = gradient.square().sum(dim=2).mean(dim=1).sqrt()
        return lengths
