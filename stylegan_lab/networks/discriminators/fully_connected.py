"""The discriminator of the first GAN (Goodfellow et al., 2014) and of the conditional GAN (Mirza & Osindero, 2014)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.initialization import initialize_uniform


class Maxout(nn.Module):
    """The maximum of `maxout_pieces` linear maps (Goodfellow et al., 2013)."""

    def __init__(self, in_features: int, out_features: int, maxout_pieces: int) -> None:
        super().__init__()
        self.out_features, self.maxout_pieces = out_features, maxout_pieces
        self.linear = nn.Linear(in_features, out_features * maxout_pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (self.out_features, self.maxout_pieces)).amax(dim=2)


class FullyConnectedDiscriminator(nn.Module):
    """Fully connected maxout layers with dropout. `input_dropout` is applied to the pixels; a class is concatenated with them
    afterwards. `unit_range` rescales images from [-1, 1] to [0, 1] first."""

    def __init__(
        self,
        image_channels: int = 1,
        classes: int = 0,
        size: int = 32,
        channels: int = 240,
        layers: int = 2,
        maxout_pieces: int = 5,
        dropout: float = 0.5,
        input_dropout: float = 0.0,
        init_range: float | None = None,
        unit_range: bool = False,
    ) -> None:
        super().__init__()
        check_minimums("discriminator", channels=(channels, 1), layers=(layers, 1), maxout_pieces=(maxout_pieces, 1))
        check_minimums("discriminator", dropout=(dropout, 0), input_dropout=(input_dropout, 0))
        widths = [image_channels * size * size + classes, *[channels] * layers]
        hidden = [layer for pair in pairwise(widths) for layer in (Maxout(*pair, maxout_pieces), nn.Dropout(dropout))]
        self.input_dropout = nn.Dropout(input_dropout)
        self.layers = nn.Sequential(*hidden, nn.Linear(channels, 1))
        self.unit_range = unit_range
        initialize_uniform(self, "discriminator.init_range", init_range)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        flat = self.input_dropout((image.flatten(1) + 1) / 2 if self.unit_range else image.flatten(1))
        return DiscriminatorOutput((self.layers(flat if condition is None else torch.cat([flat, condition], dim=1)),))
