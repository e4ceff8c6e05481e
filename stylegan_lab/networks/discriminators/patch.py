"""PatchGAN and PixelGAN (Isola et al., 2017): discriminators with one logit per patch or per pixel."""

from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.errors import check_at_least, check_minimums
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import Norm, needs_bias, norm_layer
from stylegan_lab.networks.layers.resampling import BlurPool, Down
from stylegan_lab.suggestions import lookup


class PatchDiscriminator(nn.Module):
    """`layers` downsampling convolutions, then two that keep the resolution. With three layers, a patch has 70x70 pixels. With
    `down` = antialiased, each downsampling is a convolution followed by a blur (CUT)."""

    multiple_of = 1

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        down: Down = "strided",
        dropout: float = 0.0,
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__()
        check_minimums("discriminator", channels=(channels, 1), layers=(layers, 1), dropout=(dropout, 0))
        self.min_size = 2 ** (layers + 2)  # the last two convolutions each remove a row
        widths = [channels * min(2**layer, 8) for layer in range(layers + 1)]
        antialiased = lookup("discriminator.down", down, {"strided": False, "antialiased": True})
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        down_stride = 1 if antialiased else 2
        modules: list[nn.Module] = [nn.Conv2d(image_channels, channels, 4, down_stride, 1), nn.LeakyReLU(0.2)]
        for index, (in_channels, out_channels) in enumerate(pairwise(widths), start=1):
            modules += [BlurPool(in_channels, kernel_size=3, stride=2)] if antialiased else []
            stride = down_stride if index < layers else 1
            modules.append(nn.Conv2d(in_channels, out_channels, 4, stride, 1, bias=needs_bias(norm)))
            modules += [norm_layer(norm, out_channels), nn.LeakyReLU(0.2), *drop]
        self.layers = nn.Sequential(*modules, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        initialize_weights(self, initialization)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        x, features = image, []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return DiscriminatorOutput((x,), features=tuple(features))


class PixelDiscriminator(nn.Module):
    """PixelGAN: 1x1 convolutions, which can compare colors but not shapes."""

    multiple_of = 1
    min_size = 2

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        norm: Norm = "instance",
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__()
        check_at_least("discriminator.channels", channels, 1)
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels, channels, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 1, bias=needs_bias(norm)), norm_layer(norm, 2 * channels), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 1, 1, bias=needs_bias(norm)),
        )  # fmt: skip
        initialize_weights(self, initialization)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.layers(image),))
