"""DCGAN in the layout of TensorFlow's tutorial: a quarter of the side comes from all of the noise at once, 7x7 of 28 pixels."""

from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.verdict import Verdict

SLOPE = 0.3


class QuarterGenerator(nn.Module):
    """4 times the `channels` on a quarter of the side; 5x5 convolutions, of which two double it."""

    def __init__(
        self,
        latent_size: int = 100,
        image_channels: int = 1,
        size: int = 28,
        channels: int = 64,
        initialisation: Initialisation = "xavier_uniform",
    ) -> None:
        super().__init__()
        at_least("generator.channels", channels, 1)
        side = _quarter("generator", size)
        most = 4 * channels
        self.layers = nn.Sequential(
            nn.Linear(latent_size, most * side**2, bias=False),
            nn.BatchNorm1d(most * side**2), nn.LeakyReLU(SLOPE), nn.Unflatten(1, (most, side, side)),
            nn.ConvTranspose2d(most, 2 * channels, 5, 1, 2, bias=False), nn.BatchNorm2d(2 * channels), nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(2 * channels, channels, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(channels, image_channels, 5, 2, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip
        initialise(self, initialisation)

    def forward(self, latents: Tensor, condition: None = None) -> Tensor:
        pictures: Tensor = self.layers(latents)
        return pictures


class QuarterCritic(nn.Module):
    """Two halvings with dropout and no norm, then one line."""

    def __init__(
        self,
        image_channels: int = 1,
        size: int = 28,
        channels: int = 64,
        dropout: float = 0.3,
        initialisation: Initialisation = "xavier_uniform",
    ) -> None:
        super().__init__()
        at_least("adversary.channels", channels, 1)
        at_least("adversary.dropout", dropout, 0)
        side = _quarter("adversary", size)
        self.layers = nn.Sequential(
            nn.Conv2d(image_channels, channels, 5, 2, 2), nn.LeakyReLU(SLOPE), nn.Dropout(dropout),
            nn.Conv2d(channels, 2 * channels, 5, 2, 2), nn.LeakyReLU(SLOPE), nn.Dropout(dropout),
            nn.Flatten(), nn.Linear(2 * channels * side**2, 1),
        )  # fmt: skip
        initialise(self, initialisation)

    def forward(self, image: Tensor, condition: None = None) -> Verdict:
        return Verdict((self.layers(image),))


def _quarter(role: str, size: int) -> int:
    if size % 4 or size < 4:
        raise Mistake(f"{role}.size={size}: a multiple of 4 is expected")
    return size // 4
