"""The translator of Johnson et al. (2016) as CycleGAN uses it: a stem, two halvings, residual blocks, two doublings."""

from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.mistake import at_least
from stylegan_lab.nets.blocks import DOWN, UP, Down, Norm, Up, needs_bias, norm_layer
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.padding import ReflectionPad


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm, dropout: float) -> None:
        super().__init__()
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        self.layers = nn.Sequential(
            ReflectionPad(1), nn.Conv2d(channels, channels, 3, bias=needs_bias(norm)), norm_layer(norm, channels),
            nn.ReLU(), *drop,
            ReflectionPad(1), nn.Conv2d(channels, channels, 3, bias=needs_bias(norm)), norm_layer(norm, channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class ResNetTranslator(nn.Module):
    """`channels` after the stem, four times that in the `blocks`; 9 blocks at 256 px and 6 at 128 in the paper. A variant
    that lays a condition on the image says how many `condition_channels` that has; then the stem has no norm, as a norm
    would take away again what a constant map adds."""

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
    ) -> None:
        super().__init__()
        at_least("translator.channels", channels, 1)
        at_least("translator.blocks", blocks, 0)
        at_least("translator.dropout", dropout, 0)
        halve, double = choose("translator.down", down, DOWN), choose("translator.up", up, UP)
        at_stem: Norm = "none" if condition_channels else norm
        stem = nn.Conv2d(image_channels + condition_channels, channels, 7, bias=needs_bias(at_stem))
        first, second = halve(channels, 2 * channels, norm), halve(2 * channels, 4 * channels, norm)
        at_blocks = 4 + len(first) + len(second)
        # The input, both halvings, the first and the middle block: where a variant may look between the layers.
        self.landmarks = [0, 4, 4 + len(first), at_blocks, at_blocks + blocks // 2]
        self.layers = nn.Sequential(
            ReflectionPad(3), stem, norm_layer(at_stem, channels), nn.ReLU(),
            *first,
            *second,
            *(ResidualBlock(4 * channels, norm, dropout) for _ in range(blocks)),
            *double(4 * channels, 2 * channels, norm),
            *double(2 * channels, channels, norm),
            ReflectionPad(3), nn.Conv2d(channels, image_channels, 7), nn.Tanh(),
        )  # fmt: skip
        initialise(self, initialisation)

    def forward(self, image: Tensor) -> Tensor:
        translated: Tensor = self.layers(image)
        return translated
