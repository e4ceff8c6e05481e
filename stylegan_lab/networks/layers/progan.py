"""ProGAN's layers (Karras et al., 2018): equalized learning rate, pixel norm, minibatch standard deviation, progressive growing.

An equalized layer keeps weights of unit variance and scales them each time it is used. An optimizer whose steps do
not depend on the scale of the gradients (Adam) then changes all layers at the same relative speed.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.precision import to_float32

HE_GAIN = math.sqrt(2)  # compensates for the variance that a leaky ReLU loses


class EqualizedLinear(nn.Module):
    """A linear layer with equalized learning rate. `lr_mult` multiplies the speed at which it learns."""

    def __init__(
        self, in_features: int, out_features: int, gain: float = 1.0, lr_mult: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_mult)
        self.bias = nn.Parameter(torch.full((out_features,), bias / lr_mult))
        self.scale, self.lr_mult = gain * lr_mult / math.sqrt(in_features), lr_mult

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_mult)


class EqualizedConv2d(nn.Module):
    """A convolution with equalized learning rate and "same" padding."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        gain: float = 1.0,
        stride: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale, self.stride = gain / math.sqrt(in_channels * kernel_size**2), stride

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.weight.shape[-1] // 2)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale the channels at every pixel (or every row of a matrix) to a mean square of 1."""
    mean_square = to_float32(x).square().mean(dim=1, keepdim=True)  # float16 would overflow above 256
    return x * torch.rsqrt(mean_square + 1e-8).to(x.dtype)


class MinibatchStdDev(nn.Module):
    """Append one constant map with the standard deviation over a group of images, averaged over channels and pixels.

    The images of a group are spread evenly over the batch: with G groups, image i belongs to group i mod G. A group size that
    does not divide the batch size is reduced to the next smaller divisor.
    """

    def __init__(self, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size

    def group_size_in(self, batch: int) -> int:
        return next(size for size in range(min(self.group_size, batch), 0, -1) if batch % size == 0)

    def couples_samples(self, part: int, whole: int) -> bool:
        """Return whether splitting a batch of size `whole` into parts of size `part` changes the groups. Ranks and micro-batches
        take every n-th image, which keeps groups together as long as the group size stays the same."""
        return self.group_size_in(part) != self.group_size_in(whole)

    def forward(self, x: Tensor) -> Tensor:
        group_size = self.group_size_in(len(x))
        grouped = to_float32(x).unflatten(0, (group_size, -1))  # 1e-8 is 0 in float16, and the root's gradient infinite
        stddev = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3)).to(x.dtype)
        stddev_map = stddev.repeat(group_size)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        return torch.cat([x, stddev_map], dim=1)


class ProgressiveNetwork(nn.Module):
    """Base class of networks that grow. All levels exist from the start. At `grown` = 2 the level with index 2 is fully in use;
    at 1.25 it has a weight of a quarter in the blend with level 1."""

    grown: Tensor  # in checkpoints
    growth: float  # the same number on the host: reading the tensor would wait for the device in every forward pass

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grown", torch.zeros(()))
        self.growth = 0.0
        self.register_load_state_dict_post_hook(_read_growth)

    def grow(self, grown: float) -> None:
        """Set the growth stage."""
        self.grown.fill_(grown)
        self.growth = float(torch.tensor(grown, dtype=self.grown.dtype))  # rounded as in a checkpoint

    @property
    def stage(self) -> tuple[int, float]:
        """The index of the highest level in use, and its weight (alpha) in the blend with the level below."""
        level = math.ceil(self.growth)
        return level, self.growth - (level - 1) if level > 0 else 1.0


def _read_growth(network: ProgressiveNetwork, _: object) -> None:
    network.growth = float(network.grown)


def resize_to(image: Tensor, resolution: int) -> Tensor:
    """Resize square images to `resolution`: downsample by averaging, or upsample by repeating pixels."""
    size = image.shape[-1]
    return F.avg_pool2d(image, size // resolution) if size > resolution else upsample_nearest(image, resolution // size)


def upsample_nearest(x: Tensor, factor: int) -> Tensor:
    return x[:, :, :, None, :, None].expand(-1, -1, -1, factor, -1, factor).flatten(4, 5).flatten(2, 3)


upsample_2x = partial(upsample_nearest, factor=2)
