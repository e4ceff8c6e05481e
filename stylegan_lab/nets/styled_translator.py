"""StarGAN v2's translator (Choi et al., 2020): the way down sees the picture, the way up is told by a style in every norm."""

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.condition import ConditionalNorm, taken_off
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.preactivated_block import PreactivatedBlock, affine_instance_norm, widths


class StyledBlock(nn.Module):
    """`doubles`: repeats each place 2x2 before its first convolution, and on the shortcut."""

    def __init__(self, inputs: int, outputs: int, style_channels: int, doubles: bool = False) -> None:
        super().__init__()
        self.norms = nn.ModuleList([ConditionalNorm(inputs, style_channels), ConditionalNorm(outputs, style_channels)])
        self.convs = nn.ModuleList(
            [nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)]
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        self.scale = 2 if doubles else 1

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        inner = self.convs[0](self._grown(F.leaky_relu(self.norms[0](x, style), 0.2)))
        inner = self.convs[1](F.leaky_relu(self.norms[1](inner, style), 0.2))
        out: Tensor = (inner + self.shortcut(self._grown(x))) / math.sqrt(2)
        return out

    def _grown(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.scale, mode="nearest") if self.scale > 1 else x


class StyledTranslator(nn.Module):
    """The style is laid on the picture as `condition_channels` maps, as every condition is; a label serves as well."""

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        most_channels: int = 512,
        halvings: int = 4,
        initialisation: Initialisation = "he",
        condition_channels: int = 64,
    ) -> None:
        super().__init__()
        at_least("translator.channels", channels, 1)
        at_least("translator.halvings", halvings, 1)
        self.image_channels = image_channels
        self.multiple_of = 2**halvings
        self.at_least = 2 ** (halvings + 1)  # of a single place an instance norm leaves nothing
        planned, norm = widths(channels, most_channels, halvings), affine_instance_norm
        steps, deepest = list(pairwise(planned)), planned[-1]
        self.down = nn.Sequential(
            nn.Conv2d(image_channels, channels, 3, padding=1),
            *(PreactivatedBlock(inputs, outputs, norm, halves=True) for inputs, outputs in steps),
            *(PreactivatedBlock(deepest, deepest, norm) for _ in range(2)),
        )
        self.up = nn.ModuleList(
            [
                *(StyledBlock(deepest, deepest, condition_channels) for _ in range(2)),
                *(
                    StyledBlock(outputs, inputs, condition_channels, doubles=True)
                    for inputs, outputs in reversed(steps)
                ),
            ]
        )
        self.to_image = nn.Sequential(norm(channels), nn.LeakyReLU(0.2), nn.Conv2d(channels, image_channels, 1))
        initialise(self, initialisation)

    def forward(self, conditioned: Tensor) -> Tensor:
        image, style = taken_off(conditioned, self.image_channels)
        x = self.down(image)
        for block in self.up:
            x = block(x, style)
        translated: Tensor = self.to_image(x)
        return translated
