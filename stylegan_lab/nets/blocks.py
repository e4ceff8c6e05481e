"""What nets are built of: norms, and the ways to halve and double a feature map."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.nets.padding import ReflectionPad, padded

Norm = Literal["instance", "batch", "none"]
Down = Literal["strided", "antialiased"]
Up = Literal["transposed", "resize", "antialiased"]


class InstanceNorm(nn.Module):
    """Instance norm without affine parameters or running statistics (Ulyanov et al., 2016), computed as a group norm
    of one channel a group: the same numbers, faster in NCHW."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.channels)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": InstanceNorm,
    "batch": nn.BatchNorm2d,
    "none": lambda channels: nn.Identity(),
}


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    return choose("norm", norm, NORMS)(channels)


def needs_bias(norm: Norm) -> bool:
    """A convolution before a norm with its own shift needs no bias; the published nets keep it before instance norm."""
    return norm != "batch"


class Blur(nn.Module):
    """Convolve every channel with a fixed binomial filter (Zhang, 2019), keeping one sample in `stride`."""

    kernel: Tensor

    def __init__(self, channels: int, taps: int, stride: int) -> None:
        super().__init__()
        row = torch.tensor([1.0])
        for _ in range(taps - 1):
            row = F.pad(row, (0, 1)) + F.pad(row, (1, 0))
        kernel = torch.outer(row, row) / row.sum() ** 2
        self.register_buffer("kernel", kernel.expand(channels, 1, taps, taps).contiguous(), persistent=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        before, after = (self.kernel.shape[-1] - 1) // 2, self.kernel.shape[-1] // 2
        wide = padded(x, before, after, "reflect")
        return F.conv2d(wide, self.kernel.to(wide.dtype), stride=self.stride, groups=x.shape[1])


class BlurredDoubling(nn.Module):
    """Double a map by inserting zeros and blurring with four binomial taps: no checkerboard (Karras et al.; CUT)."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(row, row).expand(channels, 1, 4, 4).contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        wide = padded(x, 1, 1, "replicate")
        doubled = F.conv_transpose2d(wide, self.kernel.to(wide.dtype), stride=2, padding=2, groups=x.shape[1])
        return doubled[:, :, 1:-1, 1:-1]


def strided_down(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=needs_bias(norm))
    return [conv, norm_layer(norm, outputs), nn.ReLU()]


def antialiased_down(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=needs_bias(norm))
    return [conv, norm_layer(norm, outputs), nn.ReLU(), Blur(outputs, taps=3, stride=2)]


def transposed_up(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    conv = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=needs_bias(norm))
    return [conv, norm_layer(norm, outputs), nn.ReLU()]


def resize_up(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, bias=needs_bias(norm))
    return [nn.Upsample(scale_factor=2), ReflectionPad(1), conv, norm_layer(norm, outputs), nn.ReLU()]


def antialiased_up(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=needs_bias(norm))
    return [BlurredDoubling(inputs), conv, norm_layer(norm, outputs), nn.ReLU()]


Resampling = Callable[[int, int, Norm], list[nn.Module]]
DOWN: dict[str, Resampling] = {"strided": strided_down, "antialiased": antialiased_down}
UP: dict[str, Resampling] = {"transposed": transposed_up, "resize": resize_up, "antialiased": antialiased_up}
