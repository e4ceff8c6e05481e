"""The first GAN (Goodfellow et al., 2014; told a class, Mirza & Osindero, 2014): layers from all to all, for small pictures."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.verdict import Verdict


class FullyConnectedGenerator(nn.Module):
    """`layers` of `width` rectified units, then a value for each pixel and channel."""

    def __init__(
        self,
        latent_size: int = 100,
        image_channels: int = 1,
        classes: int = 0,
        size: int = 32,
        width: int = 1200,
        layers: int = 2,
    ) -> None:
        super().__init__()
        at_least("generator.width", width, 1)
        at_least("generator.layers", layers, 1)
        widths = [latent_size + classes, *[width] * layers]
        hidden = [part for one, two in pairwise(widths) for part in (nn.Linear(one, two), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, image_channels * size * size), nn.Tanh())
        self.shape = (image_channels, size, size)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        given = latents if condition is None else torch.cat([latents, condition], dim=1)
        pictures: Tensor = self.layers(given).unflatten(1, self.shape)
        return pictures


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
    """`layers` of `width` maxout units with dropout; a class lies beside the pixels."""

    def __init__(
        self,
        image_channels: int = 1,
        classes: int = 0,
        size: int = 32,
        width: int = 240,
        layers: int = 2,
        pieces: int = 5,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        at_least("critic.width", width, 1)
        at_least("critic.layers", layers, 1)
        at_least("critic.pieces", pieces, 1)
        at_least("critic.dropout", dropout, 0)
        widths = [image_channels * size * size + classes, *[width] * layers]
        hidden = [part for one, two in pairwise(widths) for part in (Maxout(one, two, pieces), nn.Dropout(dropout))]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Verdict:
        flat = image.flatten(1)
        return Verdict((self.layers(flat if condition is None else torch.cat([flat, condition], dim=1)),))
