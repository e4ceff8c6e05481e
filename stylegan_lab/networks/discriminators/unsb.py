"""UNSB's discriminator (Kim et al., 2024): an antialiased PatchGAN that is conditioned on the time step."""

from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.resampling import BlurPool
from stylegan_lab.networks.layers.unsb import TimeEmbedding, reset_conditioning


class UNSBDiscriminator(nn.Module):
    """`layers` convolutions, each followed by a blur, then two convolutions that keep the resolution. The time step sets the
    scale and shift of the norms."""

    multiple_of = 1

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        layers: int = 3,
        initialization: Initialization = "xavier",
        num_timesteps: int = 5,
    ) -> None:
        super().__init__()
        check_minimums("discriminator", channels=(channels, 2), layers=(layers, 1))
        self.min_size = 2 ** (layers + 2)  # the last two convolutions each remove a row
        widths = [channels * min(2**layer, 8) for layer in range(layers + 1)]
        self.time = TimeEmbedding(num_timesteps, 4 * channels, 4 * channels)
        self.first = nn.Conv2d(image_channels, channels, 4, padding=1)
        self.blurs = nn.ModuleList(BlurPool(width, kernel_size=3, stride=2) for width in widths[:-1])
        self.convs = nn.ModuleList(nn.Conv2d(*pair, 4, padding=1) for pair in pairwise(widths))
        self.norms = nn.ModuleList(ConditionalInstanceNorm(width, 4 * channels) for width in widths[1:])
        self.last = nn.Conv2d(widths[-1], 1, 4, padding=1)
        initialize_weights(self, initialization)
        reset_conditioning(self)

    def forward(self, image: Tensor, step: int) -> DiscriminatorOutput:
        x, time = nn.functional.leaky_relu(self.first(image), 0.2), self.time(step)
        for blur, conv, norm in zip(self.blurs, self.convs, self.norms, strict=True):
            x = nn.functional.leaky_relu(norm(conv(blur(x)), time), 0.2)
        return DiscriminatorOutput((self.last(x),))
