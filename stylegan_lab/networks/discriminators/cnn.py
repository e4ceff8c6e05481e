"""SNGAN's convolutional discriminator (Miyato et al., 2018, Table 3), with spectral norm or, for WGAN-GP, without."""

from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.resolutions import divide_size


class StandardCNNDiscriminator(nn.Module):
    """At each of three resolutions, one convolution keeps the resolution and a second one halves it. A last convolution is
    applied at an eighth of the size."""

    def __init__(
        self,
        image_channels: int = 3,
        size: int = 32,
        channels: int = 64,
        spectral: bool = False,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        check_at_least("discriminator.channels", channels, 1)
        smallest = divide_size("discriminator", size, 8)
        widths = [channels * factor for factor in (1, 2, 4, 8)]
        layers: list[nn.Module] = []
        for level, (in_channels, width) in enumerate(pairwise([image_channels, *widths])):
            layers += [nn.Conv2d(in_channels, width, 3, 1, 1), nn.LeakyReLU(0.1)]
            layers += [nn.Conv2d(width, width, 4, 2, 1), nn.LeakyReLU(0.1)] if level < 3 else []
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * smallest**2, 1))
        initialize_weights(self, initialization, spectral)

    def forward(self, image: Tensor, condition: None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.layers(image),))
