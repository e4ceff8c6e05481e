"""The feed-forward style transfer network (Johnson et al., 2016), as in the authors' Torch code and in the TensorFlow port."""

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import NORMS, AffineInstanceNorm, Norm
from stylegan_lab.networks.layers.resampling import ReflectionPad
from stylegan_lab.suggestions import lookup

Implementation = Literal["torch", "tensorflow"]
TANH_SCALE = 150 / 127.5  # the reference multiplies tanh by 150, for pixels from 0 to 255


class SameConv2d(nn.Module):
    """A convolution with TensorFlow's "same" padding: if the number of rows or columns to add is odd, the bottom or right side
    gets one more."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride)
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: Tensor) -> Tensor:
        total = [max(0, (-(-n // self.stride) - 1) * self.stride + self.kernel_size - n) for n in x.shape[-2:]]
        (top, left), (bottom, right) = [n // 2 for n in total], [n - n // 2 for n in total]
        return self.conv(F.pad(x, (left, right, top, bottom)))


class SameConvTranspose2d(nn.Module):
    """The transposed convolution that inverts the shape of a SameConv2d with stride 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y[..., :-1, :-1]


class JohnsonResidualBlock(nn.Module):
    """Convolution, norm, ReLU, convolution, norm. If the convolutions have no padding, the shortcut is cropped to the size of
    their output."""

    def __init__(self, first: nn.Module, first_norm: nn.Module, second: nn.Module, second_norm: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(first, first_norm, nn.ReLU(), second, second_norm)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        rows, columns = (x.shape[-2] - y.shape[-2]) // 2, (x.shape[-1] - y.shape[-1]) // 2
        return x[..., rows : x.shape[-2] - rows, columns : x.shape[-1] - columns] + y


class JohnsonGenerator(nn.Module):
    """c9s1-32, d64, d128, `blocks` x R128, u64, u32, c9s1-3, with affine norms.

    The Torch code pads the image once at the start, by reflection, and its residual blocks have no padding. The TensorFlow port
    pads every layer with zeros, and also has a norm before the tanh.
    """

    multiple_of = 4

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 32,
        blocks: int = 5,
        norm: Norm = "instance",
        implementation: Implementation = "torch",
        norm_epsilon: float = 1e-5,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 1), blocks=(blocks, 0))
        lookup("norm", norm, NORMS)
        same = lookup("generator.implementation", implementation, {"torch": False, "tensorflow": True})
        self.margin = 0 if same else 8 * blocks
        self.min_size = 4 if same else max(16, self.margin + 4)
        self.pad = ReflectionPad(self.margin) if self.margin else nn.Identity()
        self.norm, self.epsilon = norm, norm_epsilon

        def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0) -> nn.Module:
            if same:
                return SameConv2d(in_channels, out_channels, kernel_size, stride)
            return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding)

        padded_up = partial(nn.ConvTranspose2d, kernel_size=3, stride=2, padding=1, output_padding=1)
        up = SameConvTranspose2d if same else padded_up
        c, inner = channels, 4 * channels
        self.layers = nn.Sequential(
            conv(image_channels, c, 9, 1, 4), self._norm(c), nn.ReLU(),
            conv(c, 2 * c, 3, 2, 1), self._norm(2 * c), nn.ReLU(),
            conv(2 * c, inner, 3, 2, 1), self._norm(inner), nn.ReLU(),
            *(JohnsonResidualBlock(conv(inner, inner, 3), self._norm(inner), conv(inner, inner, 3), self._norm(inner))
              for _ in range(blocks)),
            up(inner, 2 * c), self._norm(2 * c), nn.ReLU(),
            up(2 * c, c), self._norm(c), nn.ReLU(),
            conv(c, image_channels, 9, 1, 4), *([self._norm(image_channels)] if same else []),
        )  # fmt: skip
        initialize_weights(self, initialization)

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.layers(self.pad(image))) * TANH_SCALE

    def _norm(self, channels: int) -> nn.Module:
        if self.norm == "instance":
            return AffineInstanceNorm(channels, self.epsilon)
        return nn.BatchNorm2d(channels, self.epsilon) if self.norm == "batch" else nn.Identity()
