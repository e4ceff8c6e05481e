"""The pixel critic of pix2pix: a logit for each pixel alone, which sees colour and no form."""

from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.blocks import Norm, needs_bias, norm_layer
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.verdict import Verdict


class PixelCritic(nn.Module):
    multiple_of = 1
    at_least = 2

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        norm: Norm = "instance",
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__()
        at_least("critic.channels", channels, 1)
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels, channels, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 1, bias=needs_bias(norm)), norm_layer(norm, 2 * channels), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 1, 1, bias=needs_bias(norm)),
        )  # fmt: skip
        initialise(self, initialisation)

    def forward(self, image: Tensor) -> Verdict:
        return Verdict((self.layers(image),))
