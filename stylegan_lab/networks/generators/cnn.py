"""SNGAN's convolutional generator (Miyato et al., 2018, Table 3)."""

from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.resolutions import divide_size


class StandardCNNGenerator(nn.Module):
    """Upsamples three times, with batch norm. The first feature map has an eighth of the image size, and 8 times `channels`
    channels."""

    def __init__(
        self,
        latent_dim: int = 128,
        image_channels: int = 3,
        size: int = 32,
        channels: int = 64,
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__()
        check_at_least("generator.channels", channels, 1)
        smallest = divide_size("generator", size, 8)
        widths = [channels * factor for factor in (8, 4, 2, 1)]
        upsampling: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            upsampling += [nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, widths[0] * smallest**2, bias=False),
            nn.Unflatten(1, (widths[0], smallest, smallest)), nn.BatchNorm2d(widths[0]), nn.ReLU(),
            *upsampling, nn.Conv2d(widths[-1], image_channels, 3, 1, 1), nn.Tanh(),
        )  # fmt: skip
        initialize_weights(self, initialization)

    def forward(self, latents: Tensor, condition: None = None) -> Tensor:
        return self.layers(latents)
