"""The first GAN (Goodfellow et al., 2014; told a class, Mirza & Osindero, 2014): layers from all to all, for small pictures."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.verdict import Verdict


class FullyConnectedGenerator(nn.Module):
    """`layers` of `channels` rectified units, then a value for each pixel and channel, within `unit` a sigmoid's."""

    def __init__(
        self,
        latent_size: int = 100,
        image_channels: int = 1,
        classes: int = 0,
        size: int = 32,
        channels: int = 1200,
        layers: int = 2,
        weight_range: float | None = None,
        unit: bool = False,
    ) -> None:
        super().__init__()
        at_least("generator.channels", channels, 1)
        at_least("generator.layers", layers, 1)
        widths = [latent_size + classes, *[channels] * layers]
        hidden = [part for one, two in pairwise(widths) for part in (nn.Linear(one, two), nn.ReLU())]
        self.layers = nn.Sequential(
            *hidden, nn.Linear(channels, image_channels * size * size), nn.Sigmoid() if unit else nn.Tanh()
        )
        _draw_weights(self, "generator.weight_range", weight_range)
        self.shape, self.unit = (image_channels, size, size), unit

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        given = latents if condition is None else torch.cat([latents, condition], dim=1)
        pictures: Tensor = self.layers(given).unflatten(1, self.shape)
        return 2 * pictures - 1 if self.unit else pictures


class Maxout(nn.Module):
    """The largest of `pieces` linear maps (Goodfellow et al., 2013)."""

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.outputs, self.pieces = outputs, pieces
        self.linear = nn.Linear(inputs, outputs * pieces)

    def forward(self, x: Tensor) -> Tensor:
        largest: Tensor = self.linear(x).unflatten(1, (self.outputs, self.pieces)).amax(dim=2)
        return largest


class FullyConnectedCritic(nn.Module):
    """`layers` of `channels` maxout units with dropout, of the pixels too if that is asked for; a class lies beside the pixels."""

    def __init__(
        self,
        image_channels: int = 1,
        classes: int = 0,
        size: int = 32,
        channels: int = 240,
        layers: int = 2,
        pieces: int = 5,
        dropout: float = 0.5,
        input_dropout: float = 0.0,
        weight_range: float | None = None,
        unit: bool = False,
    ) -> None:
        super().__init__()
        at_least("adversary.channels", channels, 1)
        at_least("adversary.layers", layers, 1)
        at_least("adversary.pieces", pieces, 1)
        at_least("adversary.dropout", dropout, 0)
        at_least("adversary.input_dropout", input_dropout, 0)
        widths = [image_channels * size * size + classes, *[channels] * layers]
        hidden = [part for one, two in pairwise(widths) for part in (Maxout(one, two, pieces), nn.Dropout(dropout))]
        self.input_dropout = nn.Dropout(input_dropout)
        self.layers = nn.Sequential(*hidden, nn.Linear(channels, 1))
        self.unit = unit
        _draw_weights(self, "adversary.weight_range", weight_range)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Verdict:
        flat = self.input_dropout((image.flatten(1) + 1) / 2 if self.unit else image.flatten(1))
        return Verdict((self.layers(flat if condition is None else torch.cat([flat, condition], dim=1)),))


def _draw_weights(net: nn.Module, name: str, most: float | None) -> None:
    """Evenly from `-most` to it, and no biases; None: as torch has them."""
    if most is None:
        return
    at_least(name, most, 0)
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            nn.init.uniform_(layer.weight, -most, most)
            nn.init.zeros_(layer.bias)
