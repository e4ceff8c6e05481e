"""SRResNet (Ledig et al., 2017), SRGAN's generator: residual blocks at low resolution, then sub-pixel convolutions."""

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import UserError, check_minimums
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import Norm, norm_layer


class SRResNetBlock(nn.Module):
    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), norm_layer(norm, channels), nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), norm_layer(norm, channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class SRResNet(nn.Module):
    """Upscales images by `factor`. With `bicubic_skip`, which is not in the paper, the network predicts the difference from
    bicubic upscaling. This gives better results after short trainings."""

    multiple_of = 1
    min_size = 4

    def __init__(
        self,
        image_channels: int = 3,
        factor: int = 4,
        channels: int = 64,
        blocks: int = 16,
        norm: Norm = "batch",
        bicubic_skip: bool = False,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 1), blocks=(blocks, 0))
        if factor < 2 or factor & (factor - 1):
            raise UserError(
                "network.factor_unsupported",
                f"generator.factor={factor} must be a power of 2; give 2, 4 or 8",
            )
        self.factor, self.bicubic_skip = factor, bicubic_skip
        self.stem = nn.Sequential(nn.Conv2d(image_channels, channels, 9, padding=4), nn.PReLU())
        self.trunk = nn.Sequential(
            *(SRResNetBlock(channels, norm) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1), norm_layer(norm, channels),
        )  # fmt: skip
        self.head = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
              for _ in range(factor.bit_length() - 1)),
            nn.Conv2d(channels, image_channels, 9, padding=4),
        )  # fmt: skip
        initialize_weights(self, initialization)
        if bicubic_skip:
            nn.init.zeros_(self.head[-1].weight)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        out: Tensor = self.head(x + self.trunk(x))
        return out + F.interpolate(image, (out.shape[2], out.shape[3]), mode="bicubic") if self.bicubic_skip else out
