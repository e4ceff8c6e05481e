"""Downsampling and upsampling of feature maps by a factor of 2, with and without antialiasing, and their padding."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.layers.norms import Norm, needs_bias, norm_layer
from stylegan_lab.suggestions import lookup

Down = Literal["strided", "reflect", "antialiased"]
Up = Literal["transposed", "resize", "nearest", "antialiased"]
PaddingMode = Literal["reflect", "replicate", "zero"]
ConvPadding = Literal["reflect", "zero"]


class ReflectionPad(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return pad(x, self.width, self.width, "reflect")


def padding_layer(setting: str, padding: ConvPadding, width: int) -> nn.Module:
    return lookup(setting, padding, {"reflect": ReflectionPad, "zero": nn.ZeroPad2d})(width)


def pad(x: Tensor, before: int, after: int, mode: PaddingMode) -> Tensor:
    """Add `before` rows and columns at the top and left, and `after` at the bottom and right.

    On a GPU, torch's own padding kernels add gradients in no fixed order, and raise an error if deterministic algorithms are
    required. In that case the padding is concatenated from slices, which gives the same values.
    """
    if mode == "zero":
        return F.pad(x, (before, after, before, after))
    if x.device.type != "cpu" and torch.are_deterministic_algorithms_enabled():
        return _concatenate_edges(_concatenate_edges(x, before, after, mode, dim=-2), before, after, mode, dim=-1)
    return F.pad(x, (before, after, before, after), mode=mode)


def _concatenate_edges(x: Tensor, before: int, after: int, mode: PaddingMode, dim: int) -> Tensor:
    size = x.shape[dim]
    if mode == "reflect":
        parts = [x.narrow(dim, 1, before).flip(dim), x, x.narrow(dim, size - 1 - after, after).flip(dim)]
    else:
        parts = [*[x.narrow(dim, 0, 1)] * before, x, *[x.narrow(dim, size - 1, 1)] * after]
    return torch.cat(parts, dim)


def resize_antialiased(x: Tensor, size: int) -> Tensor:
    """Resize bilinearly to `size` x `size` pixels, with antialiasing.

    On a GPU, torch's kernel has no deterministic gradient. If deterministic algorithms are required, rows and columns are
    multiplied by matrices of the kernel's weights instead. These are obtained by resizing an identity matrix.
    """
    if x.device.type == "cpu" or not torch.are_deterministic_algorithms_enabled():
        return F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return _multiply_to_size(x, size)


def _multiply_to_size(x: Tensor, size: int) -> Tensor:
    rows, columns = (_resize_weights(length, size, x) for length in x.shape[-2:])
    with torch.autocast(x.device.type, enabled=False):
        return rows @ x @ columns.T


@torch.no_grad()
def _resize_weights(length: int, size: int, like: Tensor) -> Tensor:
    """The weights (size, length) of each input pixel of a row in each output pixel."""
    identity = torch.eye(length, device=like.device, dtype=like.dtype)[None, None]
    return F.interpolate(identity, (size, length), mode="bilinear", antialias=True)[0, 0]


class BlurPool(nn.Module):
    """Blur every channel with a binomial filter of `kernel_size` taps, and subsample by `stride` (Zhang, 2019)."""

    kernel: Tensor

    def __init__(self, channels: int, kernel_size: int, stride: int, padding: PaddingMode = "reflect") -> None:
        super().__init__()
        row = torch.tensor([1.0])
        for _ in range(kernel_size - 1):
            row = F.pad(row, (0, 1)) + F.pad(row, (1, 0))
        kernel = torch.outer(row, row) / row.sum() ** 2
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1, 1), persistent=False)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        before, after = (self.kernel.shape[-1] - 1) // 2, self.kernel.shape[-1] // 2
        padded = pad(x, before, after, self.padding)
        return F.conv2d(padded, self.kernel.to(x.dtype), stride=self.stride, groups=x.shape[1])


class BlurUpsample(nn.Module):
    """Upsample by inserting zeros and blurring with a four-tap binomial filter, which leaves no checkerboard (StyleGAN2, CUT)."""

    kernel: Tensor

    def __init__(self, channels: int, padding: PaddingMode = "replicate") -> None:
        super().__init__()
        self.padding = padding
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(row, row).repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        padded = pad(x, 1, 1, self.padding)
        upsampled = F.conv_transpose2d(padded, self.kernel.to(padded.dtype), stride=2, padding=2, groups=x.shape[1])
        return upsampled[:, :, 1:-1, 1:-1]


def downsampling(down: Down, in_channels: int, out_channels: int, norm: Norm) -> list[nn.Module]:
    """Return the layers of a downsampling. `strided` and `reflect` are a convolution with stride 2 that pads with zeros or by
    reflection; `antialiased` is a convolution with stride 1, followed by a blur with stride 2."""
    table: dict[str, tuple[int, Literal["zeros", "reflect"]]] = {
        "strided": (2, "zeros"),
        "reflect": (2, "reflect"),
        "antialiased": (1, "zeros"),
    }
    stride, padding = lookup("generator.down", down, table)
    bias = needs_bias(norm)
    conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=bias, padding_mode=padding)
    blur = [BlurPool(out_channels, kernel_size=3, stride=2)] if stride == 1 else []
    return [conv, norm_layer(norm, out_channels), nn.ReLU(), *blur]


def upsampling(up: Up, in_channels: int, out_channels: int, norm: Norm) -> list[nn.Module]:
    table: dict[str, tuple[list[nn.Module], Callable[..., nn.Module]]] = {
        "transposed": ([], partial(nn.ConvTranspose2d, stride=2, padding=1, output_padding=1)),
        "resize": ([nn.Upsample(scale_factor=2), ReflectionPad(1)], nn.Conv2d),
        "nearest": ([nn.Upsample(scale_factor=2)], partial(nn.Conv2d, padding=1)),
        "antialiased": ([BlurUpsample(in_channels)], partial(nn.Conv2d, padding=1)),
    }
    before, build_conv = lookup("generator.up", up, table)
    conv = build_conv(in_channels, out_channels, 3, bias=needs_bias(norm))
    return [*before, conv, norm_layer(norm, out_channels), nn.ReLU()]
