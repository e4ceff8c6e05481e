"""R3GAN's nets (Huang et al., 2024): residual blocks of grouped convolutions, no norm, resampling by a fixed low-pass."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.verdict import Verdict

BASE = 4  # pixels, where pictures begin and judgements end
EMBEDDED = 64  # numbers that stand for a class
GAIN = 2**0.5 / (1 + 0.2**2) ** 0.5  # keeps the variance through a leaky slope of 0.2


class R3GANGenerator(nn.Module):
    """Weighted basis maps of 4x4; then stages of `blocks` residual blocks, each of twice the side."""

    def __init__(
        self,
        latent_size: int = 64,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 768,
        most_channels: int = 768,
        blocks: int = 2,
        group: int = 16,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        widths = widths_of("generator", size, channels, most_channels, blocks, group, expansion)
        widest = widths[-1]
        self.told = Told(latent_size, classes)
        self.basis = nn.Parameter(torch.randn(widest, BASE, BASE))
        self.weigh = scaled(nn.Linear(latent_size + self.told.size, widest, bias=False))
        self.stages = stages([*reversed(widths)], Doubled, blocks, group, expansion)
        self.to_image = scaled(nn.Conv2d(widths[0], image_channels, 1))

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        weights = self.weigh(self.told(latents, condition))
        pictures: Tensor = self.to_image(self.stages(weights[:, :, None, None] * self.basis))
        return pictures


class R3GANCritic(nn.Module):
    """The generator backwards. A class is asked for by projection: the logit is an inner product with its embedding."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 768,
        most_channels: int = 768,
        blocks: int = 2,
        group: int = 16,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        widths = widths_of("adversary", size, channels, most_channels, blocks, group, expansion)
        widest = widths[-1]
        self.from_image = scaled(nn.Conv2d(image_channels, widths[0], 1))
        self.stages = stages(widths, Halved, blocks, group, expansion)
        self.basis = scaled(nn.Conv2d(widest, widest, BASE, groups=widest, bias=False))
        self.embedding = scaled(nn.Linear(classes, EMBEDDED, bias=False)) if classes else None
        self.head = scaled(nn.Linear(widest, EMBEDDED if classes else 1, bias=False))

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Verdict:
        logits = self.head(self.basis(self.stages(self.from_image(image))).flatten(1))
        if self.embedding is not None:
            assert condition is not None
            logits = (logits * self.embedding(condition)).sum(dim=1, keepdim=True) / EMBEDDED**0.5
        return Verdict((logits,))


def stages(
    widths: Sequence[int], between: Callable[[], nn.Module], blocks: int, group: int, expansion: int
) -> nn.Sequential:
    """Residual blocks of each width in turn; what lies `between` two changes the side."""
    scale = residual_scale(blocks * len(widths))
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise([widths[0], *widths]):
        parts += [between()] if parts else []
        parts += [scaled(nn.Conv2d(inputs, outputs, 1, bias=False))] if inputs != outputs else []
        parts += [ResidualBlock(outputs, group, expansion, scale) for _ in range(blocks)]
    return nn.Sequential(*parts)


class Told(nn.Module):
    """Latents, with a class's embedding beside them where there are classes."""

    def __init__(self, latent_size: int, classes: int) -> None:
        super().__init__()
        self.size = EMBEDDED if classes else 0
        self.embedding = scaled(nn.Linear(classes, EMBEDDED, bias=False)) if classes else None

    def forward(self, latents: Tensor, condition: Tensor | None) -> Tensor:
        return latents if self.embedding is None else torch.cat([latents, self.embedding(condition)], dim=1)


class ResidualBlock(nn.Module):
    """1x1 wider, 3x3 in groups of `group` channels, 1x1 back. The last begins at 0, the others are scaled down by depth (Fixup)."""

    def __init__(self, channels: int, group: int, expansion: int, scale: float) -> None:
        super().__init__()
        wide = channels * expansion
        self.widen = scaled(nn.Conv2d(channels, wide, 1, bias=False), GAIN * scale)
        self.within = scaled(
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide // min(group, wide), bias=False), GAIN * scale
        )
        self.back = scaled(nn.Conv2d(wide, channels, 1, bias=False), 0.0)
        self.bend, self.bend_again = Bend(wide), Bend(wide)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.back(self.bend_again(self.within(self.bend(self.widen(x)))))
        return x + changed


class Bend(nn.Module):
    """A bias and a leaky slope."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias[:, None, None].to(x.dtype), 0.2)


class LowPass(nn.Module):
    """The filter 1 2 1 in both directions; what lies outside is 0."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)

    def each(self, channels: int, like: Tensor) -> Tensor:
        return self.kernel.to(like.dtype).expand(channels, 1, 3, 3)


class Doubled(LowPass):
    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = 4 * self.each(channels, x)
        return F.conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=1, groups=channels)


class Halved(LowPass):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.each(x.shape[1], x), stride=2, padding=1, groups=x.shape[1])


def scaled(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Weights of variance gain squared over the number of inputs."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / fan_in**0.5) if gain else nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def residual_scale(blocks: int) -> float:
    """Fixup's for blocks of three layers: L^(-1 / (2 * 3 - 2))."""
    return float(blocks ** (-1 / 4))


def widths_of(role: str, size: int, channels: int, most: int, blocks: int, group: int, expansion: int) -> list[int]:
    """Channels from full size down to 4x4, each twice the one before, up to the most."""
    at_least(f"{role}.channels", channels, 1)
    at_least(f"{role}.blocks", blocks, 1)
    at_least(f"{role}.group", group, 1)
    at_least(f"{role}.expansion", expansion, 1)
    levels = (size // BASE).bit_length()
    if levels < 2 or BASE * 2 ** (levels - 1) != size:
        raise Mistake(f"{role}.size={size}: a power of 2 from 8 on is expected")
    widths = [min(channels * 2**level, most) for level in range(levels)]
    if wrong := [width * expansion for width in widths if width * expansion % min(group, width * expansion)]:
        raise Mistake(f"{role}.group={group} does not divide the {wrong[0]} channels of a block")
    return widths
