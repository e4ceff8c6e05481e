"""ProGAN (Karras et al., 2018): nets that grow. They begin at 4 px; each new size is faded in over the one before it."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.generation.equalised import EqualisedConv, EqualisedLinear, unit_mean_square
from stylegan_lab.nets.generation.levels import levels
from stylegan_lab.nets.generation.minibatch_deviation import MinibatchDeviation
from stylegan_lab.nets.verdict import Verdict

HE = math.sqrt(2)  # what a leaky slope takes from the variance


class Growing(nn.Module):
    """Every level is there from the beginning. `grown` says how far up they are in use: at 2 the third is, at 1.25 it is
    faded in by a quarter; told from outside, it is kept with the weights."""

    grown: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grown", torch.zeros(()))

    @property
    def stage(self) -> tuple[int, float]:
        """The highest level in use, and its share; the rest is the level's below."""
        grown = float(self.grown)
        level = math.ceil(grown)
        return level, grown - (level - 1) if level > 0 else 1.0


class GeneratorLevel(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([EqualisedConv(inputs, outputs, 3, HE), EqualisedConv(outputs, outputs, 3, HE)])

    def forward(self, x: Tensor) -> Tensor:
        x = doubled(x)
        for conv in self.convs:
            x = unit_mean_square(F.leaky_relu(conv(x), 0.2))
        return x


class ProGANGenerator(Growing):
    """`channels` at full size, twice as many at each halving, at most `most_channels`. Pictures of a level that is not the
    last are enlarged to `size`."""

    def __init__(
        self,
        latent_size: int = 512,
        image_channels: int = 3,
        size: int = 128,
        channels: int = 128,
        most_channels: int = 512,
    ) -> None:
        super().__init__()
        at_least("generator.channels", channels, 1)
        self.sides, widths = levels("generator", size, channels, most_channels)
        first = widths[0]
        self.seed = EqualisedLinear(latent_size, first * self.sides[0] ** 2, HE / 4)
        self.first = EqualisedConv(first, first, 3, HE)
        self.levels = nn.ModuleList(GeneratorLevel(*ends) for ends in pairwise(widths))
        self.to_image = nn.ModuleList(EqualisedConv(width, image_channels, 1) for width in widths)

    def forward(self, latents: Tensor, condition: None = None) -> Tensor:
        return self.at(latents, *self.stage)

    def at(self, latents: Tensor, level: int, share: float = 1.0) -> Tensor:
        seed = self.seed(unit_mean_square(latents)).unflatten(1, (-1, self.sides[0], self.sides[0]))
        x = unit_mean_square(F.leaky_relu(seed, 0.2))
        x = before = unit_mean_square(F.leaky_relu(self.first(x), 0.2))
        for block in self.levels[:level]:
            x, before = block(x), x
        picture: Tensor = self.to_image[level](x)
        if share < 1:
            picture = torch.lerp(doubled(self.to_image[level - 1](before)), picture, share)
        return resized(picture, self.sides[-1])


class CriticLevel(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([EqualisedConv(inputs, inputs, 3, HE), EqualisedConv(inputs, outputs, 3, HE)])

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return F.avg_pool2d(x, 2)


class ProGANCritic(Growing):
    """The generator's way back, and how far the pictures of a `group` differ. Pictures are averaged down to the level in use."""

    def __init__(
        self,
        image_channels: int = 3,
        size: int = 128,
        channels: int = 128,
        most_channels: int = 512,
        group: int = 4,
    ) -> None:
        super().__init__()
        at_least("adversary.channels", channels, 1)
        at_least("adversary.group", group, 1)
        self.sides, widths = levels("adversary", size, channels, most_channels)
        first = widths[0]
        self.from_image = nn.ModuleList(EqualisedConv(image_channels, width, 1, HE) for width in widths)
        self.levels = nn.ModuleList(CriticLevel(two, one) for one, two in pairwise(widths))
        self.deviation = MinibatchDeviation(group)
        self.last = EqualisedConv(first + 1, first, 3, HE)
        self.features = EqualisedLinear(first * self.sides[0] ** 2, first, HE)
        self.logit = EqualisedLinear(first, 1)

    def forward(self, image: Tensor) -> Verdict:
        return self.at(image, *self.stage)

    def at(self, image: Tensor, level: int, share: float = 1.0) -> Verdict:
        seen = resized(image, self.sides[level])
        x = F.leaky_relu(self.from_image[level](seen), 0.2)
        for place in reversed(range(level)):
            x = self.levels[place](x)
            if share < 1 and place == level - 1:
                x = torch.lerp(F.leaky_relu(self.from_image[place](F.avg_pool2d(seen, 2)), 0.2), x, share)
        x = F.leaky_relu(self.last(self.deviation(x)), 0.2)
        return Verdict((self.logit(F.leaky_relu(self.features(x.flatten(1)), 0.2)),))


def resized(image: Tensor, side: int) -> Tensor:
    """Places averaged, or repeated."""
    own = image.shape[-1]
    return F.avg_pool2d(image, own // side) if own > side else repeated(image, side // own)


def doubled(x: Tensor) -> Tensor:
    return repeated(x, 2)


def repeated(x: Tensor, times: int) -> Tensor:
    return x[:, :, :, None, :, None].expand(-1, -1, -1, times, -1, times).flatten(4, 5).flatten(2, 3)
