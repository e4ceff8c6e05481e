"""The convolutional nets that spectral norm was published with (Miyato et al., 2018, Table 3)."""

from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.spectral import normalise_spectrally
from stylegan_lab.nets.verdict import Verdict

LEVELS = 3


class ConvolutionalGenerator(nn.Module):
    """Three doublings of an eighth of the side, which has 8 times the `channels` of the last; batch norm."""

    def __init__(
        self,
        latent_size: int = 128,
        image_channels: int = 3,
        size: int = 32,
        channels: int = 64,
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__()
        at_least("generator.channels", channels, 1)
        side, widths = _eighth("generator", size), [channels * 2**level for level in range(LEVELS, -1, -1)]
        ways = [
            part
            for one, two in pairwise(widths)
            for part in (nn.ConvTranspose2d(one, two, 4, 2, 1, bias=False), nn.BatchNorm2d(two), nn.ReLU())
        ]
        self.layers = nn.Sequential(
            nn.Linear(latent_size, widths[0] * side**2, bias=False),
            nn.Unflatten(1, (widths[0], side, side)), nn.BatchNorm2d(widths[0]), nn.ReLU(),
            *ways, nn.Conv2d(widths[-1], image_channels, 3, 1, 1), nn.Tanh(),
        )  # fmt: skip
        initialise(self, initialisation)

    def forward(self, latents: Tensor, condition: None = None) -> Tensor:
        pictures: Tensor = self.layers(latents)
        return pictures


class ConvolutionalCritic(nn.Module):
    """At each of three sides a convolution that keeps it and one that halves it; no norm but the spectral one."""

    def __init__(
        self,
        image_channels: int = 3,
        size: int = 32,
        channels: int = 64,
        spectral: bool = False,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        at_least("adversary.channels", channels, 1)
        side, widths = _eighth("adversary", size), [channels * 2**level for level in range(LEVELS + 1)]
        parts: list[nn.Module] = []
        for one, two in pairwise([image_channels, *widths]):
            parts += [nn.Conv2d(one, two, 3, 1, 1), nn.LeakyReLU(0.1)]
            parts += [nn.Conv2d(two, two, 4, 2, 1), nn.LeakyReLU(0.1)] if two != widths[-1] else []
        self.layers = nn.Sequential(*parts, nn.Flatten(), nn.Linear(widths[-1] * side**2, 1))
        initialise(self, initialisation)
        if spectral:
            normalise_spectrally(self)

    def forward(self, image: Tensor, condition: None = None) -> Verdict:
        return Verdict((self.layers(image),))


def _eighth(role: str, size: int) -> int:
    if size % 2**LEVELS or size < 2**LEVELS:
        raise Mistake(f"{role}.size={size}: a multiple of 8 is expected")
    return size // 2**LEVELS
