"""StarGAN v2's styles (Choi et al., 2020): a mapping network computes them from noise, a style encoder from an image."""

from itertools import chain, pairwise

import torch
from torch import Tensor, nn

from stylegan_lab.errors import UserError, check_at_least, check_minimums
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.resampling import resize_antialiased
from stylegan_lab.networks.layers.stargan2 import downsampling_trunk
from stylegan_lab.precision import to_float32

DEPTH = 4  # linear layers shared by all domains, and again per domain


class StyleMappingNetwork(nn.Module):
    """Maps latents (N, latent_dim) to styles. Each style is of the domain that the label of the latent gives."""

    def __init__(
        self, domains: int, latent_dim: int, style_dim: int, hidden_dim: int, initialization: Initialization
    ) -> None:
        super().__init__()
        self.shared = _mlp([latent_dim] + [hidden_dim] * DEPTH)
        self.heads = nn.ModuleList(
            nn.Sequential(_mlp([hidden_dim] * DEPTH), nn.Linear(hidden_dim, style_dim)) for _ in range(domains)
        )
        initialize_weights(self, initialization)

    def forward(self, latents: Tensor, label: Tensor) -> Tensor:
        return _select_domain(self.heads, self.shared(latents), label)


class StyleEncoder(nn.Module):
    """Encodes images to their styles. The label of an image gives its domain. Images that do not have `size` x `size` pixels are
    resized to this size first."""

    def __init__(
        self,
        domains: int,
        style_dim: int,
        image_channels: int,
        size: int,
        channels: int,
        max_channels: int,
        initialization: Initialization,
    ) -> None:
        super().__init__()
        self.size = size
        n_downsample = size.bit_length() - 3  # to 4x4
        trunk, deepest = downsampling_trunk(image_channels, channels, max_channels, n_downsample)
        shared = [nn.Conv2d(deepest, deepest, 4), nn.AdaptiveAvgPool2d(1), nn.LeakyReLU(0.2), nn.Flatten()]
        self.shared = nn.Sequential(trunk, *shared)
        self.heads = nn.ModuleList(nn.Linear(deepest, style_dim) for _ in range(domains))
        initialize_weights(self, initialization)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        if image.shape[-2:] != (self.size, self.size):
            image = resize_antialiased(to_float32(image), self.size)
        return _select_domain(self.heads, self.shared(image), label)


class StyleNetworks(nn.Module):
    """The mapping network and the style encoder.

    With `style_init_gap` = 0, as published, the styles of all domains overlap at first, and a long training separates them. With
    a gap g >= 1, the styles of each domain start around a separate center, drawn from N(0, 1), and their variation is divided by
    g.
    """

    def __init__(
        self,
        domains: int,
        image_channels: int = 3,
        size: int = 256,
        latent_dim: int = 16,
        style_dim: int = 64,
        hidden_dim: int = 512,
        channels: int = 64,
        max_channels: int = 512,
        initialization: Initialization = "he",
        style_init_gap: float = 0.0,
    ) -> None:
        super().__init__()
        check_minimums("style_encoder", latent_dim=(latent_dim, 1), style_dim=(style_dim, 1), size=(size, 8))
        check_at_least("style_encoder.style_init_gap", style_init_gap, 0)
        if 0 < style_init_gap < 1:
            raise UserError(
                "config.out_of_range", f"style_encoder.style_init_gap={style_init_gap}: give 0, or at least 1"
            )
        self.latent_dim, self.style_dim = latent_dim, style_dim
        self.mapping = StyleMappingNetwork(domains, latent_dim, style_dim, hidden_dim, initialization)
        self.encoder = StyleEncoder(domains, style_dim, image_channels, size, channels, max_channels, initialization)
        if style_init_gap > 0:
            centers = torch.randn(domains, style_dim)
            for mapping, encoder, center in zip(self.mapping.heads, self.encoder.heads, centers, strict=True):
                for layer in (mapping[-1], encoder):  # type: ignore[index]
                    assert isinstance(layer, nn.Linear)
                    layer.weight.data /= style_init_gap
                    layer.bias.data.copy_(center)


def _mlp(widths: list[int]) -> nn.Sequential:
    layers = ((nn.Linear(*pair), nn.ReLU()) for pair in pairwise(widths))
    return nn.Sequential(*chain.from_iterable(layers))


def _select_domain(heads: nn.ModuleList, shared: Tensor, label: Tensor) -> Tensor:
    """For each row, the style of its label's domain."""
    stacked = torch.stack([head(shared) for head in heads], dim=1)
    return stacked[torch.arange(len(stacked), device=stacked.device), label]
