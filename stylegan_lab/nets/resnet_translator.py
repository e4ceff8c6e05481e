"""The translator of Johnson et al. (2016) as CycleGAN uses it: a stem, two halvings, residual blocks, two doublings."""

from math import sqrt
from typing import Literal

from torch import Tensor, nn
from torch.nn import init

from stylegan_lab.choice import choose
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.blocks import DOWN, UP, Down, InstanceNorm, Norm, Up, needs_bias, norm_layer
from stylegan_lab.nets.condition import ConditionalNorm, taken_off
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.padding import ReflectionPad

ConditionAt = Literal["norms", "stem"]
DEVIATION = 0.3  # of the scales and shifts that a label, or up to four styles of deviation 1, begin with each


class Chain(nn.Sequential):
    """Layers one behind the other; those that take a condition are given it."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, condition) if isinstance(layer, ResidualBlock | ConditionalNorm) else layer(x)
        return x

    def read_condition(self, channels: int) -> None:
        """Norms read their scales and shifts off a condition from now on. More channels say no more at first than four."""
        for place, layer in enumerate(self):
            if isinstance(layer, InstanceNorm):
                self[place] = norm = ConditionalNorm(layer.channels, channels)
                init.normal_(norm.read.weight, std=DEVIATION * min(1, 2 / sqrt(channels)))
                init.zeros_(norm.read.bias)
            elif isinstance(layer, ResidualBlock):
                layer.layers.read_condition(channels)


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        self.layers = Chain(
            ReflectionPad(1), nn.Conv2d(channels, channels, 3, bias=needs_bias(norm)), norm_layer(norm, channels),
            nn.ReLU(), *drop,
            ReflectionPad(1), nn.Conv2d(channels, channels, 3, bias=needs_bias(norm)), norm_layer(norm, channels),
        )  # fmt: skip

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        out: Tensor = x + self.layers(x, condition)
        return out


class ResNetTranslator(nn.Module):
    """`channels` after the stem, four times that in the `blocks`; 9 blocks at 256 px and 6 at 128 in the paper. A variant
    that lays a condition on the image says how many `condition_channels` that has. Every norm reads it, or the stem sees its
    maps; then the stem has no norm, as a norm would take away again what a constant map adds. So runs have it that were begun
    before there was a choice."""

    multiple_of = 4
    at_least = 16  # two halvings must leave more than one row to reflect

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        blocks: int = 9,
        norm: Norm = "instance",
        down: Down = "strided",
        up: Up = "transposed",
        dropout: float = 0.0,
        initialisation: Initialisation = "normal",
        condition_channels: int = 0,
        condition_at: ConditionAt = "stem",
    ) -> None:
        super().__init__()
        at_least("translator.channels", channels, 1)
        at_least("translator.blocks", blocks, 0)
        at_least("translator.dropout", dropout, 0)
        halve, double = choose("translator.down", down, DOWN), choose("translator.up", up, UP)
        in_norms = choose("translator.condition_at", condition_at, {"norms": True, "stem": False})
        self.image_channels, self.conditional = image_channels, in_norms and condition_channels > 0
        if self.conditional and norm != "instance":
            raise Mistake(
                f"translator.norm={norm}: translators among domains read in their norms where to go, which only instance norms "
                "do; give translator.norm=instance, or translator.condition_at=stem"
            )
        maps = 0 if self.conditional else condition_channels
        at_stem: Norm = "none" if maps else norm
        stem = nn.Conv2d(image_channels + maps, channels, 7, bias=needs_bias(at_stem))
        first, second = halve(channels, 2 * channels, norm), halve(2 * channels, 4 * channels, norm)
        at_blocks = 4 + len(first) + len(second)
        # The input, both halvings, the first and the middle block: where a variant may look between the layers.
        self.landmarks = [0, 4, 4 + len(first), at_blocks, at_blocks + blocks // 2]
        self.layers = Chain(
            ReflectionPad(3), stem, norm_layer(at_stem, channels), nn.ReLU(),
            *first,
            *second,
            *(ResidualBlock(4 * channels, norm, dropout) for _ in range(blocks)),
            *double(4 * channels, 2 * channels, norm),
            *double(2 * channels, channels, norm),
            ReflectionPad(3), nn.Conv2d(channels, image_channels, 7), nn.Tanh(),
        )  # fmt: skip
        initialise(self, initialisation)
        if self.conditional:
            self.layers.read_condition(condition_channels)

    def forward(self, image: Tensor) -> Tensor:
        given = taken_off(image, self.image_channels) if self.conditional else (image,)
        translated: Tensor = self.layers(*given)
        return translated
