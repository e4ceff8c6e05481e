"""The translator of Johnson et al. (2016) as CycleGAN uses it: a stem, two halvings, residual blocks, two doublings."""

from torch import Tensor, nn
from torch.nn import init

from stylegan_lab.choice import choose
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.blocks import DOWN, UP, Down, InstanceNorm, Norm, Up, needs_bias, norm_layer
from stylegan_lab.nets.condition import ConditionalNorm, taken_off
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.padding import ReflectionPad

TOLD = 0.3  # deviation of the scales and shifts that tell one label from another at first


class Chain(nn.Sequential):
    """Layers one behind the other; those that can be told a condition are."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x, condition) if isinstance(layer, ResidualBlock | ConditionalNorm) else layer(x)
        return x

    def be_told(self, condition_channels: int) -> None:
        """Norms read their scales and shifts off a condition from now on."""
        for place, layer in enumerate(self):
            if isinstance(layer, InstanceNorm):
                self[place] = told = ConditionalNorm(layer.channels, condition_channels)
                init.normal_(told.read.weight, std=TOLD)
                init.zeros_(told.read.bias)
            elif isinstance(layer, ResidualBlock):
                layer.layers.be_told(condition_channels)


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
    that lays a condition on the image says how many `condition_channels` that has; every norm is told it, as a norm behind a
    convolution of constant maps would take away again what they add."""

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
        if condition_channels and norm != "instance":
            raise Mistake(
                f"translator.norm={norm}: a translator among domains is told where to go in its norms; give instance"
            )
        self.image_channels, self.told = image_channels, condition_channels > 0
        stem = nn.Conv2d(image_channels, channels, 7, bias=needs_bias(norm))
        first, second = halve(channels, 2 * channels, norm), halve(2 * channels, 4 * channels, norm)
        at_blocks = 4 + len(first) + len(second)
        # The input, both halvings, the first and the middle block: where a variant may look between the layers.
        self.landmarks = [0, 4, 4 + len(first), at_blocks, at_blocks + blocks // 2]
        self.layers = Chain(
            ReflectionPad(3), stem, norm_layer(norm, channels), nn.ReLU(),
            *first,
            *second,
            *(ResidualBlock(4 * channels, norm, dropout) for _ in range(blocks)),
            *double(4 * channels, 2 * channels, norm),
            *double(2 * channels, channels, norm),
            ReflectionPad(3), nn.Conv2d(channels, image_channels, 7), nn.Tanh(),
        )  # fmt: skip
        initialise(self, initialisation)
        if self.told:
            self.layers.be_told(condition_channels)

    def forward(self, image: Tensor) -> Tensor:
        translated: Tensor = self.layers(*taken_off(image, self.image_channels)) if self.told else self.layers(image)
        return translated
