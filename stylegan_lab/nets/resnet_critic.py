"""A residual critic with one logit per image (Gulrajani et al., 2017): blocks that halve by averaging, no norm."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.verdict import Verdict


class HalvingBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(inputs, inputs, 3, padding=1), nn.ReLU(), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.layers(x), 2) + self.shortcut(F.avg_pool2d(x, 2))


class ResNetCritic(nn.Module):
    """`blocks` halvings that double the channels up to eight times; then the mean over what is left, and one line."""

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        blocks: int = 4,
        dropout: float = 0.0,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        at_least("critic.channels", channels, 1)
        at_least("critic.blocks", blocks, 1)
        at_least("critic.dropout", dropout, 0)
        widths = [channels * min(2**block, 8) for block in range(blocks + 1)]
        self.multiple_of = self.at_least = 2**blocks
        self.stem = nn.Conv2d(image_channels, widths[0], 3, padding=1)
        self.blocks = nn.Sequential(*(HalvingBlock(inputs, outputs) for inputs, outputs in pairwise(widths)))
        self.head = nn.Sequential(
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1], 1)
        )
        initialise(self, initialisation)

    def forward(self, image: Tensor) -> Verdict:
        return Verdict((self.head(self.blocks(self.stem(image))),))
