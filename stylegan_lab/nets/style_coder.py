"""Where StarGAN v2's styles come from (Choi et al., 2020): noise through a mapping net, or a picture through an encoder."""

from itertools import chain, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.preactivated_block import halving_trunk

DEPTH = 4  # linear layers that all domains share, and that each has of its own


class StyleMapping(nn.Module):
    """Noise (N, latents) to a style of the labelled domain."""

    def __init__(self, domains: int, latents: int, styles: int, width: int, initialisation: Initialisation) -> None:
        super().__init__()
        self.shared = _perceptron([latents] + [width] * DEPTH)
        self.own = nn.ModuleList(
            nn.Sequential(_perceptron([width] * DEPTH), nn.Linear(width, styles)) for _ in range(domains)
        )
        initialise(self, initialisation)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        shared = self.shared(noise)
        return _of_domain([own(shared) for own in self.own], label)


class StyleEncoder(nn.Module):
    """A picture of the labelled domain to its style; pictures of other sizes are scaled to `size` first."""

    def __init__(
        self,
        domains: int,
        styles: int,
        image_channels: int,
        size: int,
        channels: int,
        most_channels: int,
        initialisation: Initialisation,
    ) -> None:
        super().__init__()
        self.size = size
        halvings = size.bit_length() - 3  # down to 4x4
        trunk, deepest = halving_trunk(image_channels, channels, most_channels, halvings)
        shared = [nn.Conv2d(deepest, deepest, 4), nn.AdaptiveAvgPool2d(1), nn.LeakyReLU(0.2), nn.Flatten()]
        self.shared = nn.Sequential(trunk, *shared)
        self.own = nn.ModuleList(nn.Linear(deepest, styles) for _ in range(domains))
        initialise(self, initialisation)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        if image.shape[-2:] != (self.size, self.size):
            image = F.interpolate(image.float(), (self.size, self.size), mode="bilinear", antialias=True)
        shared = self.shared(image)
        return _of_domain([own(shared) for own in self.own], label)


class StyleCoder(nn.Module):
    """`apart` 0, as published: the styles of all domains begin mixed up, to be told apart in the course of a long training.
    Otherwise each domain's begin around a centre of its own, drawn from N(0, 1), from which noise and pictures move them by
    1/`apart` of what they would."""

    def __init__(
        self,
        domains: int,
        image_channels: int = 3,
        size: int = 256,
        latents: int = 16,
        styles: int = 64,
        width: int = 512,
        channels: int = 64,
        most_channels: int = 512,
        initialisation: Initialisation = "he",
        apart: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("latents", latents, 1),
            ("styles", styles, 1),
            ("size", size, 8),
            ("apart", apart, 0),
        ):
            at_least(f"coder.{name}", value, least)
        self.latents, self.styles = latents, styles
        self.mapping = StyleMapping(domains, latents, styles, width, initialisation)
        self.encoder = StyleEncoder(domains, styles, image_channels, size, channels, most_channels, initialisation)
        if 0 < apart < 1:
            raise Mistake(f"coder.apart={apart}: 0, or 1 and more, is expected")
        if apart > 0:
            for drawn, seen, centre in zip(
                self.mapping.own, self.encoder.own, torch.randn(domains, styles), strict=True
            ):
                _begin_at(centre, apart, drawn[-1])  # type: ignore[index]
                _begin_at(centre, apart, seen)  # type: ignore[arg-type]


@torch.no_grad()
def _begin_at(centre: Tensor, apart: float, layer: nn.Linear) -> None:
    layer.weight /= apart
    layer.bias.copy_(centre)


def _perceptron(sizes: list[int]) -> nn.Sequential:
    layers = ((nn.Linear(inputs, outputs), nn.ReLU()) for inputs, outputs in pairwise(sizes))
    return nn.Sequential(*chain.from_iterable(layers))


def _of_domain(styles: list[Tensor], label: Tensor) -> Tensor:
    """Of the styles for every domain the one that each label asks for."""
    every = torch.stack(styles, dim=1)
    return every[torch.arange(len(every), device=every.device), label]
