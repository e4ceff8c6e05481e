"""CycleGAN's residual generator (Zhu et al., 2017), after Johnson et al. (2016)."""

from itertools import chain, pairwise
from math import sqrt
from typing import Literal

from torch import Tensor, nn
from torch.nn import init

from stylegan_lab.errors import UserError, check_minimums
from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm, split_condition_maps
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import InstanceNorm, Norm, needs_bias, norm_layer
from stylegan_lab.networks.layers.resampling import ConvPadding, Down, Up, downsampling, padding_layer, upsampling
from stylegan_lab.suggestions import lookup

ConditionAt = Literal["norms", "stem"]
# Initial standard deviation of the scales and shifts, for a one-hot label or for up to four condition channels of N(0, 1).
AFFINE_INIT_STD = 0.3


class ConditionedSequential(nn.Sequential):
    """A sequence of layers. The condition is passed to each layer that takes one."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, condition) if isinstance(layer, ResNetBlock | ConditionalInstanceNorm) else layer(x)
        return x

    def condition_norms(self, condition_channels: int) -> None:
        """Replace instance norms with conditional ones. The initial scales grow with the number of condition channels only up to
        four channels."""
        for index, layer in enumerate(self):
            if isinstance(layer, InstanceNorm):
                self[index] = norm = ConditionalInstanceNorm(layer.channels, condition_channels)
                init.normal_(norm.affine.weight, std=AFFINE_INIT_STD * min(1, 2 / sqrt(condition_channels)))
                init.zeros_(norm.affine.bias)
            elif isinstance(layer, ResNetBlock):
                layer.layers.condition_norms(condition_channels)


class ResNetBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm, dropout: float, padding: ConvPadding = "reflect") -> None:
        super().__init__()
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        pads = [padding_layer("generator.block_padding", padding, 1) for _ in range(2)]
        self.layers = ConditionedSequential(
            pads[0], nn.Conv2d(channels, channels, 3, bias=needs_bias(norm)), norm_layer(norm, channels),
            nn.ReLU(), *drop,
            pads[1], nn.Conv2d(channels, channels, 3, bias=needs_bias(norm)), norm_layer(norm, channels),
        )  # fmt: skip

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return x + self.layers(x, condition)


class ResNetGenerator(nn.Module):
    """A stem, `n_downsample` downsamplings, `blocks` residual blocks (in the paper 9 at 256 px and 6 at 128 px), and as many
    upsamplings as downsamplings.

    A condition (a domain label) is appended to the image as maps. With `condition_at` = norms, every norm computes its scale and
    shift from the condition. With `condition_at` = stem, the maps are an input of the first convolution. No norm follows it then,
    because a norm would remove the constant that such a map adds.
    """

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        down: Down = "strided",
        up: Up = "transposed",
        dropout: float = 0.0,
        initialization: Initialization = "normal",
        condition_channels: int = 0,
        condition_at: ConditionAt = "stem",
        out_channels: int | None = None,
        n_downsample: int = 2,
        stem_padding: ConvPadding = "reflect",
        block_padding: ConvPadding = "reflect",
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 1), blocks=(blocks, 0), dropout=(dropout, 0))
        check_minimums("generator", n_downsample=(n_downsample, 0))
        at_norms = lookup("generator.condition_at", condition_at, {"norms": True, "stem": False})
        self.image_channels, self.conditional = image_channels, at_norms and condition_channels > 0
        if self.conditional and norm != "instance":
            raise UserError(
                "network.norm_unsupported",
                f"generator.norm={norm} does not fit generator.condition_at=norms, which passes the domain label to instance "
                "norms; set generator.norm=instance or generator.condition_at=stem",
            )
        stem_condition = 0 if self.conditional else condition_channels
        stem_norm: Norm = "none" if stem_condition else norm
        stem = nn.Conv2d(image_channels + stem_condition, channels, 7, bias=needs_bias(stem_norm))
        widths = [channels * 2**level for level in range(n_downsample + 1)]
        downs = [downsampling(down, *pair, norm) for pair in pairwise(widths)]
        blocks_start = 4 + sum(map(len, downs))
        # CUT's default layers for PatchNCE: the input, the downsamplings, the first and the middle block.
        starts = [4 + sum(map(len, downs[:level])) for level in range(n_downsample)]
        self.nce_layers = [0, *starts, blocks_start, blocks_start + blocks // 2]
        self.multiple_of = 2**n_downsample
        self.min_size = max(
            4 * self.multiple_of, 8
        )  # reflection padding needs more than one row after the downsamplings
        self.layers = ConditionedSequential(
            padding_layer("generator.stem_padding", stem_padding, 3), stem, norm_layer(stem_norm, channels), nn.ReLU(),
            *chain.from_iterable(downs),
            *(ResNetBlock(widths[-1], norm, dropout, block_padding) for _ in range(blocks)),
            *chain.from_iterable(upsampling(up, *pair, norm) for pair in pairwise(reversed(widths))),
            padding_layer("generator.stem_padding", stem_padding, 3),
            nn.Conv2d(channels, out_channels or image_channels, 7), nn.Tanh(),
        )  # fmt: skip
        initialize_weights(self, initialization)
        if self.conditional:
            self.layers.condition_norms(condition_channels)

    def forward(self, image: Tensor) -> Tensor:
        inputs = split_condition_maps(image, self.image_channels) if self.conditional else (image,)
        return self.layers(*inputs)
