"""The generator of the first GAN (Goodfellow et al., 2014) and of the conditional GAN (Mirza & Osindero, 2014)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.layers.initialization import initialize_uniform


class FullyConnectedGenerator(nn.Module):
    """Fully connected layers for small images. A class is concatenated with the latents. With `unit_range` the output activation
    is a sigmoid, rescaled from [0, 1] to [-1, 1], instead of a tanh."""

    def __init__(
        self,
        latent_dim: int = 100,
        image_channels: int = 1,
        classes: int = 0,
        size: int = 32,
        channels: int = 1200,
        layers: int = 2,
        init_range: float | None = None,
        unit_range: bool = False,
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 1), layers=(layers, 1))
        widths = [latent_dim + classes, *[channels] * layers]
        hidden = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
        self.layers = nn.Sequential(
            *hidden, nn.Linear(channels, image_channels * size * size), nn.Sigmoid() if unit_range else nn.Tanh()
        )
        initialize_uniform(self, "generator.init_range", init_range)
        self.image_shape, self.unit_range = (image_channels, size, size), unit_range

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        conditioned = latents if condition is None else torch.cat([latents, condition], dim=1)
        images: Tensor = self.layers(conditioned).unflatten(1, self.image_shape)
        return 2 * images - 1 if self.unit_range else images
