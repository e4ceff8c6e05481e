"""StyleGAN2 (Karras et al., 2020): noise becomes a style, and styles say what every layer of a constant's way to a picture does."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.mistake import at_least
from stylegan_lab.nets.blocks import Blur, BlurredDoubling
from stylegan_lab.nets.generation.equalised import EqualisedConv, EqualisedLinear, unit_mean_square
from stylegan_lab.nets.generation.levels import levels
from stylegan_lab.nets.generation.minibatch_deviation import MinibatchDeviation
from stylegan_lab.nets.generation.modulated import ModulatedConv
from stylegan_lab.nets.verdict import Verdict

Architecture = Literal["skip", "residual", "plain"]
SKIPS = {"skip": True, "residual": False, "plain": False}  # whether pictures of every size are added up, or looked at
ADDS = {"skip": False, "residual": True, "plain": False}  # whether blocks add to what they are given
MAPPING_RATE = 0.01


class Mapping(nn.Module):
    """Latents, and a class's own vector beside them, to a style."""

    def __init__(self, latent_size: int, classes: int, size: int, layers: int) -> None:
        super().__init__()
        self.embedding = EqualisedLinear(classes, size) if classes else None
        widths = [latent_size + (size if classes else 0), *[size] * layers]
        self.layers = nn.ModuleList(EqualisedLinear(*ends, rate=MAPPING_RATE) for ends in pairwise(widths))

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        with torch.autocast(latents.device.type, enabled=False):
            x = unit_mean_square(latents)
            if self.embedding is not None:
                x = torch.cat([x, unit_mean_square(self.embedding(condition))], dim=1)
            for layer in self.layers:
                x = activated(layer(x))
            return x


class StyledLayer(nn.Module):
    """A modulated convolution, noise of a learned strength, and a leaky slope."""

    def __init__(self, inputs: int, outputs: int, style_size: int, clamp: float | None, doubles: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style_size, doubles=doubles)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.clamp = clamp

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        made = self.conv(x, style)
        made = made + (noise * self.noise_strength).to(made.dtype)
        return activated(made + self.bias.to(made.dtype)[:, None, None], self.clamp)


class ToImage(nn.Module):
    def __init__(self, inputs: int, image_channels: int, style_size: int, clamp: float | None) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, image_channels, 1, style_size, demodulates=False)
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self.clamp = clamp

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        made = full(self.conv(x, style)) + self.bias[:, None, None]
        return made if self.clamp is None else made.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """Two layers at a side twice that of the block before; the first block has one, on the constant."""

    def __init__(
        self,
        widths: Sequence[int],
        image_channels: int,
        style_size: int,
        clamp: float | None,
        shows: bool,
        adds: bool,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            StyledLayer(*ends, style_size, clamp, doubles=place == 0 and len(widths) > 2)
            for place, ends in enumerate(pairwise(widths))
        )
        doubled = len(self.layers) > 1
        self.to_image = ToImage(widths[-1], image_channels, style_size, clamp) if shows else None
        self.doubling = BlurredDoubling(image_channels) if doubled else nn.Identity()
        self.shortcut = (
            nn.Sequential(EqualisedConv(widths[0], widths[-1], 1, bias=False), BlurredDoubling(widths[-1]))
            if adds and doubled
            else None
        )

    def forward(
        self, x: Tensor, picture: Tensor | None, styles: Sequence[Tensor], noises: Iterator[Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """`styles` of its layers, and one of its picture."""
        made = x
        for layer, style in zip(self.layers, styles, strict=False):
            made = layer(made, style, next(noises))
        if self.shortcut is not None:
            made = (made + self.shortcut(x)) * math.sqrt(0.5)
        if picture is not None:
            picture = self.doubling(picture)
        if self.to_image is not None:
            shown = self.to_image(made, styles[-1])
            picture = shown if picture is None else picture + shown
        return made, picture


class StyleGAN2Generator(nn.Module):
    """`channels` at full size, twice as many at each halving, at most `most_channels`. A picture adds up what every size shows
    (skip), or the last alone does. In use noise is always the same; training brings its own. `clamp` keeps what float16
    cannot hold away (256 in the papers)."""

    average_style: Tensor
    noise: Tensor

    def __init__(
        self,
        latent_size: int = 512,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 256,
        channels: int = 64,
        most_channels: int = 512,
        style_size: int = 512,
        mapping_layers: int = 8,
        architecture: Architecture = "skip",
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        for name, value in {"channels": channels, "style_size": style_size, "mapping_layers": mapping_layers}.items():
            at_least(f"generator.{name}", value, 1)
        skips, adds = (choose("generator.architecture", architecture, table) for table in (SKIPS, ADDS))
        sides, widths = levels("generator", size, channels, most_channels)
        self.sides = [sides[0], *(side for side in sides[1:] for _ in range(2))]  # of each layer
        self.mapping = Mapping(latent_size, classes, style_size, mapping_layers)
        self.constant = nn.Parameter(torch.randn(widths[0], sides[0], sides[0]))
        ends = [(widths[0], widths[0]), *((one, two, two) for one, two in pairwise(widths))]
        self.blocks = nn.ModuleList(
            SynthesisBlock(each, image_channels, style_size, clamp, skips or each is ends[-1], adds) for each in ends
        )
        self.own_styles = [slice(max(0, 2 * place - 1), 2 * place + 2) for place in range(len(ends))]  # pictures share
        self.register_buffer("average_style", torch.zeros(style_size))
        self.register_buffer("noise", torch.randn(self.noise_size))

    @property
    def layers(self) -> int:
        """Those that have a style each."""
        return len(self.sides) + 1

    @property
    def noise_size(self) -> int:
        return sum(side**2 for side in self.sides)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.draw(self.styles(latents, condition))

    def styles(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, layers, style_size), the same for all layers."""
        style: Tensor = self.mapping(latents, condition)
        return style[:, None].expand(-1, self.layers, -1)

    def truncated(self, styles: Tensor, kept: float) -> Tensor:
        """Styles brought nearer to the average one: at 0 they are it."""
        return torch.lerp(self.average_style.expand_as(styles), styles, kept)

    def draw(self, styles: Tensor, noise: Tensor | None = None) -> Tensor:
        """Noise is (N, noise_size)."""
        noises = self._by_layer(self.noise[None] if noise is None else noise)
        of_layers = styles.unbind(dim=1)
        x, picture = self.constant.expand(len(styles), -1, -1, -1), None
        for block, own in zip(self.blocks, self.own_styles, strict=True):
            x, picture = block(x, picture, of_layers[own], noises)
        assert picture is not None
        return picture

    def _by_layer(self, noise: Tensor) -> Iterator[Tensor]:
        parts = noise.split([side**2 for side in self.sides], dim=1)
        return (part.unflatten(1, (1, side, side)) for part, side in zip(parts, self.sides, strict=True))


class CriticBlock(nn.Module):
    """Halves a map's side; `sees` the picture of its side beside it, `adds` to what it is given."""

    def __init__(
        self, inputs: int, outputs: int, image_channels: int, clamp: float | None, sees: bool, adds: bool
    ) -> None:
        super().__init__()
        self.from_image = EqualisedConv(image_channels, inputs, 1) if sees else None
        self.conv = EqualisedConv(inputs, inputs, 3)
        self.halving = nn.Sequential(Blur(inputs, taps=4, stride=1), EqualisedConv(inputs, outputs, 3, stride=2))
        self.shortcut = (
            nn.Sequential(Blur(inputs, taps=4, stride=2), EqualisedConv(inputs, outputs, 1, bias=False))
            if adds
            else None
        )
        self.clamp = clamp

    def forward(self, x: Tensor | None, image: Tensor) -> Tensor:
        if self.from_image is not None:
            seen = activated(self.from_image(image), self.clamp)
            x = seen if x is None else x + seen
        assert x is not None
        made = activated(self.conv(x), self.clamp)
        made = activated(self.halving(made), self.clamp)
        return made if self.shortcut is None else (made + self.shortcut(x)) * math.sqrt(0.5)


class StyleGAN2Critic(nn.Module):
    """Residual halvings, or (skip) with the picture told again at every size, down to one logit, whose critic sees how far
    `group` pictures differ. A class is a direction that the last features are projected on (Miyato & Koyama, 2018)."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 256,
        channels: int = 64,
        most_channels: int = 512,
        group: int = 4,
        mapping_layers: int = 8,
        architecture: Architecture = "residual",
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        for name, value in {"channels": channels, "group": group, "mapping_layers": mapping_layers}.items():
            at_least(f"adversary.{name}", value, 1)
        skips, adds = (choose("adversary.architecture", architecture, table) for table in (SKIPS, ADDS))
        sides, widths = levels("adversary", size, channels, most_channels)
        ends = list(pairwise(reversed(widths)))
        self.blocks = nn.ModuleList(
            CriticBlock(*each, image_channels, clamp, skips or place == 0, adds) for place, each in enumerate(ends)
        )
        deepest = widths[0]
        self.from_image = EqualisedConv(image_channels, deepest, 1) if skips else None
        self.halving = Blur(image_channels, taps=4, stride=2) if skips else None
        self.deviation = MinibatchDeviation(group)
        self.last = EqualisedConv(deepest + 1, deepest, 3)
        self.features = EqualisedLinear(deepest * sides[0] ** 2, deepest)
        self.logit = EqualisedLinear(deepest, deepest if classes else 1)
        self.directions = Mapping(0, classes, deepest, mapping_layers) if classes else None
        self.clamp = clamp

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Verdict:
        x = None
        for block in self.blocks:
            x = block(x, image)
            image = image if self.halving is None else self.halving(image)
        assert x is not None
        with torch.autocast(x.device.type, enabled=False):
            x = full(x)
            if self.from_image is not None:
                x = x + activated(self.from_image(full(image)))
            x = activated(self.last(self.deviation(x)), self.clamp)
            logits = self.logit(activated(self.features(x.flatten(1))))
            if self.directions is not None and condition is not None:
                directions = self.directions(logits.new_empty(len(logits), 0), condition)
                logits = (logits * directions).sum(dim=1, keepdim=True) / math.sqrt(directions.shape[1])
            return Verdict((logits,))


def activated(x: Tensor, clamp: float | None = None) -> Tensor:
    """A leaky slope of 0.2 that keeps the variance."""
    x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    return x if clamp is None else x.clamp(-clamp, clamp)


def full(x: Tensor) -> Tensor:
    """Half precisions to float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
