"""A residual discriminator without norm layers and with one logit per image (Gulrajani et al., 2017), for translation with a
gradient penalty."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights


class ResNetDownBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv2d(in_channels, in_channels, 3, padding=1),
            nn.ReLU(), nn.Conv2d(in_channels, out_channels, 3, padding=1),
        )  # fmt: skip
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.layers(x), 2) + self.shortcut(F.avg_pool2d(x, 2))


class ResNetDiscriminator(nn.Module):
    """A residual discriminator. Each of the `blocks` residual blocks halves the resolution and doubles the channels, up to eight
    times `channels`; global average pooling and a linear layer follow."""

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        blocks: int = 4,
        dropout: float = 0.0,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        check_minimums("discriminator", channels=(channels, 1), blocks=(blocks, 1), dropout=(dropout, 0))
        widths = [channels * min(2**block, 8) for block in range(blocks + 1)]
        self.multiple_of = self.min_size = 2**blocks
        self.stem = nn.Conv2d(image_channels, widths[0], 3, padding=1)
        self.blocks = nn.Sequential(*(ResNetDownBlock(*pair) for pair in pairwise(widths)))
        head = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1], 1)]
        self.head = nn.Sequential(*head)
        initialize_weights(self, initialization)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.head(self.blocks(self.stem(image))),))
