"""The norm layers that the `norm` setting of generators and discriminators chooses from."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.suggestions import lookup

Norm = Literal["instance", "instance_affine", "batch", "none"]


class InstanceNorm(nn.Module):
    """Instance norm without affine parameters or running statistics (Ulyanov et al., 2016).

    In NCHW it is computed as a group norm with one channel per group, which gives the same result faster. In channels_last, group
    norm would be several times slower, so a batch norm is applied to each image instead, except for a batch on a GPU.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        if x.is_contiguous() or (x.device.type != "cpu" and len(x) > 1):
            return group_norm(x, self.channels)
        return torch.cat([F.batch_norm(image, None, None, training=True) for image in x.split(1)])


class AffineInstanceNorm(nn.GroupNorm):
    """Instance norm with a scale and a shift for each channel."""

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__(channels, channels, epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def group_norm(
    x: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    """Group norm with statistics in float32 and a result in the precision of `x`.

    Autocast on CUDA would return the result in float32, so that most activations of a ResNet would be stored in float32.
    """
    if x.device.type != "cpu":  # CUDA's kernel needs one precision for all
        weight, bias = (None if each is None else each.to(x.dtype) for each in (weight, bias))
    with torch.autocast(x.device.type, enabled=False):
        return F.group_norm(x, groups, weight, bias, epsilon)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": InstanceNorm,
    "instance_affine": AffineInstanceNorm,
    "batch": nn.BatchNorm2d,
    "none": nn.Identity,
}


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    return lookup("norm", norm, NORMS)(channels)


def needs_bias(norm: Norm) -> bool:
    """Return whether a convolution before this norm has a bias. It has none before batch norm, which adds its own shift. It has
    one before instance norm, as in the reference code."""
    return norm != "batch"
