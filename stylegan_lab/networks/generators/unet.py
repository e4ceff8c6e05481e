"""pix2pix's U-Net (Isola et al., 2017; Ronneberger et al., 2015): down to one pixel and back, with a skip connection per level."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import Norm, needs_bias, norm_layer


class UNetSkipBlock(nn.Module):
    """Downsample, apply the inner levels, upsample, and concatenate the result with the input."""

    def __init__(
        self, outer_channels: int, inner_channels: int, inner_block: nn.Module | None, norm: Norm, dropout: float
    ) -> None:
        super().__init__()
        middle = [] if inner_block is None else [norm_layer(norm, inner_channels), inner_block]
        concatenated = inner_channels * (1 if inner_block is None else 2)
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(outer_channels, inner_channels, 4, 2, 1, bias=needs_bias(norm)),
            *middle,
            nn.ReLU(), nn.ConvTranspose2d(concatenated, outer_channels, 4, 2, 1, bias=needs_bias(norm)),
            norm_layer(norm, outer_channels), *drop,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=1)


class UNetGenerator(nn.Module):
    """A U-Net with `num_downs` downsamplings: 8 for 256 px, 7 for 128 px. As published, dropout is used in the levels whose input
    and output both have 8 times `channels` channels, except for the innermost level."""

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        num_downs: int = 8,
        norm: Norm = "batch",
        dropout: float = 0.5,
        initialization: Initialization = "normal",
        condition_channels: int = 0,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 1), num_downs=(num_downs, 3), dropout=(dropout, 0))
        widths = [channels * min(2**level, 8) for level in range(num_downs)]
        net = UNetSkipBlock(widths[-2], widths[-1], None, norm, 0.0)
        for outer, inner in reversed(list(pairwise(widths[:-1]))):
            net = UNetSkipBlock(outer, inner, net, norm, dropout if outer == inner else 0.0)
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels + condition_channels, channels, 4, 2, 1, bias=needs_bias(norm)),
            net,
            nn.ReLU(), nn.ConvTranspose2d(2 * channels, out_channels or image_channels, 4, 2, 1),
            nn.Tanh(),
        )  # fmt: skip
        self.multiple_of = self.min_size = 2**num_downs
        initialize_weights(self, initialization)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)
