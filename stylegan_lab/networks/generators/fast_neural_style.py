"""The style transfer network of PyTorch's examples (fast_neural_style): Johnson et al. (2016) with instance norms, reflection
padding in every layer, and nearest-neighbor upsampling."""

from typing import Literal

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.features.feature_net import IMAGENET_MEAN, IMAGENET_STD
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import Norm, norm_layer
from stylegan_lab.networks.layers.resampling import ReflectionPad
from stylegan_lab.suggestions import lookup

PixelRange = Literal["bytes", "imagenet"]


class FastNeuralStyleBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(channels, channels, 3, norm), nn.ReLU(), *_convolution(channels, channels, 3, norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class FastNeuralStyleGenerator(nn.Module):
    """c9s1-32, d64, d128, `blocks` x R128, u64, u32, c9s1-3, without a tanh.

    Images are in [-1, 1]. The layers work on pixels from 0 to 255 (`pixel_range` = bytes), or on pixels normalized with the mean
    and standard deviation of ImageNet (imagenet).
    """

    multiple_of = 4
    min_size = 8
    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 32,
        blocks: int = 5,
        norm: Norm = "instance_affine",
        pixel_range: PixelRange = "bytes",
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 1), blocks=(blocks, 0))
        scale, shift = lookup("generator.pixel_range", pixel_range, PIXEL_RANGES)
        self.register_buffer("scale", torch.tensor(scale)[:, None, None], persistent=False)
        self.register_buffer("shift", torch.tensor(shift)[:, None, None], persistent=False)
        c = channels
        self.layers = nn.Sequential(
            *_convolution(image_channels, c, 9, norm), nn.ReLU(),
            *_convolution(c, 2 * c, 3, norm, stride=2), nn.ReLU(),
            *_convolution(2 * c, 4 * c, 3, norm, stride=2), nn.ReLU(),
            *(FastNeuralStyleBlock(4 * c, norm) for _ in range(blocks)),
            nn.Upsample(scale_factor=2), *_convolution(4 * c, 2 * c, 3, norm), nn.ReLU(),
            nn.Upsample(scale_factor=2), *_convolution(2 * c, c, 3, norm), nn.ReLU(),
            *_convolution(c, image_channels, 9, "none"),
        )  # fmt: skip
        initialize_weights(self, initialization)

    def forward(self, image: Tensor) -> Tensor:
        y: Tensor = self.layers((image - self.shift) / self.scale)
        return y * self.scale + self.shift


# The scale and the shift from the network's pixels to [-1, 1], per channel.
PIXEL_RANGES = {
    "bytes": ([1 / 127.5], [-1.0]),
    "imagenet": ([2 * std for std in IMAGENET_STD], [2 * mean - 1 for mean in IMAGENET_MEAN]),
}


def _convolution(in_channels: int, out_channels: int, kernel_size: int, norm: Norm, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size, stride)
    return [ReflectionPad(kernel_size // 2), convolution, norm_layer(norm, out_channels)]
