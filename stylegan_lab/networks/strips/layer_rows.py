"""Finds the input rows that a layer needs for some rows of its output, and applies the layer to only these rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.generators.johnson import SameConv2d, SameConvTranspose2d
from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm
from stylegan_lab.networks.layers.norms import InstanceNorm
from stylegan_lab.networks.layers.resampling import BlurPool, BlurUpsample, ReflectionPad

Rows = tuple[int, int]  # the first, and the one after the last
ReadRows = Callable[[int, int], Tensor]

POINTWISE = (nn.Identity, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.GELU)
NORMS = (InstanceNorm, ConditionalInstanceNorm, nn.GroupNorm, nn.InstanceNorm2d, nn.BatchNorm2d)


@dataclass(frozen=True)
class Scaling:
    """The row counts of a layer that pads its input by itself. Its output has `up` / `down` times as many rows as its input. Each
    output row depends on at most `margin` input rows above and below the corresponding one."""

    up: int = 1
    down: int = 1
    margin: int = 0


def scaling_of(layer: nn.Module) -> Scaling | None:
    match layer:
        case SameConv2d():
            return Scaling(down=layer.stride, margin=layer.kernel_size)
        case SameConvTranspose2d():
            return Scaling(up=2, margin=1)
        case BlurPool():
            return Scaling(down=layer.stride, margin=layer.kernel.shape[-1])
        case BlurUpsample():
            return Scaling(up=2, margin=2)
        case nn.PixelShuffle():
            return Scaling(up=layer.upscale_factor)
        case nn.Upsample(mode="nearest", size=None, scale_factor=float() as factor) if factor.is_integer():
            return Scaling(up=int(factor))
        case nn.AvgPool2d() if layer.kernel_size == layer.stride and not layer.padding:
            return Scaling(down=int(layer.kernel_size))  # type: ignore[arg-type]
    return None


def is_supported(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups == layer.num_channels
    if isinstance(layer, nn.InstanceNorm2d):
        return not layer.track_running_stats
    layers = (*POINTWISE, *NORMS, nn.ConvTranspose2d, ReflectionPad, nn.Dropout, nn.Linear)
    return isinstance(layer, layers) or scaling_of(layer) is not None


def apply_to_rows(layer: Callable[[Tensor], Tensor], rows: Rows, height: int, read: ReadRows) -> Tensor:
    """Return the given rows of the layer's output. The input has `height` rows, and `read` returns parts of it."""
    if isinstance(layer, nn.Conv2d):
        return _convolution(layer, rows, height, read)
    if isinstance(layer, nn.ConvTranspose2d):
        return _transposed_convolution(layer, rows, height, read)
    if isinstance(layer, ReflectionPad):
        return _reflection(layer, rows, height, read)
    scaling = scaling_of(layer) if isinstance(layer, nn.Module) else None
    return layer(read(*rows)) if scaling is None else apply_scaled(layer, scaling, rows, height, read)


def apply_scaled(
    layer: Callable[[Tensor], Tensor], scaling: Scaling, rows: Rows, height: int, read: ReadRows
) -> Tensor:
    up, down, margin = scaling.up, scaling.down, scaling.margin
    first, last = rows
    start = max(0, (first * down // up - margin) // down * down)  # where the stride has its phase
    end = min(height, -(-(-(-last * down // up) + margin) // down) * down)
    shift = start * up // down
    return layer(read(start, end))[:, :, first - shift : last - shift]


def _convolution(layer: nn.Conv2d, rows: Rows, height: int, read: ReadRows) -> Tensor:
    stride, padding, dilation = layer.stride[0], int(layer.padding[0]), layer.dilation[0]
    start = rows[0] * stride - padding
    end = (rows[1] - 1) * stride - padding + dilation * (layer.kernel_size[0] - 1) + 1
    x = read(max(0, start), min(height, end))
    above, below = max(0, -start), max(0, end - height)
    if above or below:
        x = F.pad(x, (0, 0, above, below))
    columns = (0, int(layer.padding[1]))
    return F.conv2d(x, layer.weight, layer.bias, layer.stride, columns, layer.dilation, layer.groups)


def _transposed_convolution(layer: nn.ConvTranspose2d, rows: Rows, height: int, read: ReadRows) -> Tensor:
    stride, kernel, padding = layer.stride[0], layer.kernel_size[0], int(layer.padding[0])
    start = max(0, -(-(rows[0] + padding - kernel + 1) // stride))
    end = min(height, (rows[1] - 1 + padding) // stride + 1)
    shift = start * stride - padding  # of the first row that these inputs add to
    extra = max(0, rows[1] - shift - ((end - start - 1) * stride + kernel))
    out = F.conv_transpose2d(
        read(start, end), layer.weight, layer.bias, layer.stride, (0, int(layer.padding[1])),
        (extra, layer.output_padding[1]), layer.groups,
    )  # fmt: skip
    return out[:, :, rows[0] - shift : rows[1] - shift]


def _reflection(layer: ReflectionPad, rows: Rows, height: int, read: ReadRows) -> Tensor:
    """The layer pads both ends of what it gets. The padding at an end that is not one of the image is cut off."""
    width = layer.width
    start = max(0, rows[0] - width)
    end = min(height, max(rows[1] - width, start + width + 1))  # it needs more rows than it reflects
    start = max(0, min(start, end - width - 1))
    return layer(read(start, end))[:, :, rows[0] - start : rows[1] - start]


def multiply_adds(layer: nn.Module) -> float:
    """Return the number of multiplications for each value of the layer's output."""
    weight: Any = getattr(layer, "weight", None)
    conv = getattr(layer, "conv", layer)
    if isinstance(conv, nn.Conv2d):
        return conv.weight[0].numel()
    if isinstance(conv, nn.ConvTranspose2d):
        return conv.weight[:, 0].numel() / (conv.stride[0] * conv.stride[1])
    if isinstance(layer, BlurPool | BlurUpsample):
        return layer.kernel[0].numel()
    return 1 if weight is None else 2
