"""DCGAN's discriminator (Radford et al., 2016), and two variants: the one of TensorFlow's tutorial, and one with projection
(Miyato & Koyama, 2018)."""

from itertools import chain, pairwise

from torch import Tensor, nn

from stylegan_lab.errors import check_at_least, check_minimums
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.conditioning import ProjectionHead, append_condition_maps
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import Norm, needs_bias, norm_layer
from stylegan_lab.networks.layers.resolutions import divide_size, downsampling_widths


class DCGANDiscriminator(nn.Module):
    """Strided convolutions down to one logit, with batch norm after all but the first convolution. A class is appended to the
    image as constant maps."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        max_channels: int = 512,
        norm: Norm = "batch",
        dropout: float = 0.0,
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__()
        check_at_least("discriminator.channels", channels, 1)
        check_at_least("discriminator.dropout", dropout, 0)
        smallest, widths = downsampling_widths("discriminator", size, channels, max_channels)
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        layers: list[nn.Module] = [nn.Conv2d(image_channels + classes, widths[0], 4, 2, 1), nn.LeakyReLU(0.2), *drop]
        for in_channels, out_channels in pairwise(widths):
            conv = nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=needs_bias(norm))
            layers += [conv, norm_layer(norm, out_channels), nn.LeakyReLU(0.2), *drop]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, smallest), nn.Flatten())
        initialize_weights(self, initialization)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        conditioned = image if condition is None else append_condition_maps(image, condition)
        return DiscriminatorOutput((self.layers(conditioned),))


class DCGAN7x7Discriminator(nn.Module):
    """The discriminator of TensorFlow's tutorial: two strided 5x5 convolutions with dropout and no norm, then a linear layer."""

    def __init__(
        self,
        image_channels: int = 1,
        size: int = 28,
        channels: int = 64,
        dropout: float = 0.3,
        initialization: Initialization = "xavier_uniform",
    ) -> None:
        super().__init__()
        check_minimums("discriminator", channels=(channels, 1), dropout=(dropout, 0))
        smallest, slope = divide_size("discriminator", size, 4), 0.3  # Keras' default
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels, channels, 5, 2, 2), nn.LeakyReLU(slope), nn.Dropout(dropout),
            nn.Conv2d(channels, 2 * channels, 5, 2, 2), nn.LeakyReLU(slope), nn.Dropout(dropout),
            nn.Flatten(), nn.Linear(2 * channels * smallest**2, 1),
        )  # fmt: skip
        initialize_weights(self, initialization)

    def forward(self, image: Tensor, condition: None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.layers(image),))


class ProjectionDCGANDiscriminator(nn.Module):
    """Strided convolutions without batch norm; the class embedding is projected onto the flattened last feature map."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        max_channels: int = 512,
        spectral: bool = True,
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__()
        smallest, widths = downsampling_widths("discriminator", size, channels, max_channels)
        layers = ((nn.Conv2d(*pair, 4, 2, 1), nn.LeakyReLU(0.2)) for pair in pairwise([image_channels, *widths]))
        self.layers = nn.Sequential(*chain.from_iterable(layers), nn.Flatten())
        self.head = ProjectionHead(widths[-1] * smallest**2, classes)
        initialize_weights(self, initialization, spectral)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.head(self.layers(image), condition),))
