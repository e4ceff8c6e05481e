"""DCGAN's generator (Radford et al., 2016), and two variants: the one of TensorFlow's tutorial, and one with conditional batch
norm."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.networks.layers.conditioning import ConditionalBatchNorm
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import Norm, needs_bias, norm_layer
from stylegan_lab.networks.layers.resolutions import divide_size, downsampling_widths


class DCGANGenerator(nn.Module):
    """Transposed convolutions, with a norm after all but the last. A class is concatenated with the latents."""

    def __init__(
        self,
        latent_dim: int = 100,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        max_channels: int = 512,
        norm: Norm = "batch",
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__()
        smallest, widths = downsampling_widths("generator", size, channels, max_channels)
        layers: list[nn.Module] = []
        for inner, outer in pairwise([latent_dim + classes, *reversed(widths)]):
            kernel_size, stride, padding = (4, 2, 1) if layers else (smallest, 1, 0)
            conv = nn.ConvTranspose2d(inner, outer, kernel_size, stride, padding, bias=needs_bias(norm))
            layers += [conv, norm_layer(norm, outer), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[0], image_channels, 4, 2, 1), nn.Tanh())
        initialize_weights(self, initialization)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        conditioned = latents if condition is None else torch.cat([latents, condition], dim=1)
        return self.layers(conditioned[:, :, None, None])


class DCGAN7x7Generator(nn.Module):
    """The generator of TensorFlow's tutorial: a linear layer to a quarter of the size (7x7 for 28 px), then 5x5 transposed
    convolutions."""

    def __init__(
        self,
        latent_dim: int = 100,
        image_channels: int = 1,
        size: int = 28,
        channels: int = 64,
        initialization: Initialization = "xavier_uniform",
    ) -> None:
        super().__init__()
        check_at_least("generator.channels", channels, 1)
        smallest, deepest, slope = divide_size("generator", size, 4), 4 * channels, 0.3  # Keras' default
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, deepest * smallest**2, bias=False),
            nn.BatchNorm1d(deepest * smallest**2), nn.LeakyReLU(slope), nn.Unflatten(1, (deepest, smallest, smallest)),
            nn.ConvTranspose2d(deepest, 2 * channels, 5, 1, 2, bias=False), nn.BatchNorm2d(2 * channels), nn.LeakyReLU(slope),
            nn.ConvTranspose2d(2 * channels, channels, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.LeakyReLU(slope),
            nn.ConvTranspose2d(channels, image_channels, 5, 2, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        initialize_weights(self, initialization)

    def forward(self, latents: Tensor, condition: None = None) -> Tensor:
        return self.layers(latents)


class ConditionalDCGANGenerator(nn.Module):
    """DCGAN's generator with conditional batch norm (Miyato & Koyama, 2018), which is the only place where the class enters."""

    def __init__(
        self,
        latent_dim: int = 100,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        max_channels: int = 512,
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__()
        smallest, widths = downsampling_widths("generator", size, channels, max_channels)
        widths = list(reversed(widths))
        upsampling = [nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False) for inner, outer in pairwise(widths)]
        self.convs = nn.ModuleList([nn.ConvTranspose2d(latent_dim, widths[0], smallest, bias=False), *upsampling])
        self.norms = nn.ModuleList(ConditionalBatchNorm(width, classes) for width in widths)
        self.head = nn.Sequential(nn.ConvTranspose2d(widths[-1], image_channels, 4, 2, 1), nn.Tanh())
        initialize_weights(self, initialization)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        x = latents[:, :, None, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x), condition).relu()
        return self.head(x)
