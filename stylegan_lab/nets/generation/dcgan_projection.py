"""DCGAN's layers (Radford et al., 2016), told a class by conditional batch norm and by projection (Miyato & Koyama, 2018)."""

from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.nets.generation.class_norm import ClassNorm
from stylegan_lab.nets.generation.dcgan import pyramid
from stylegan_lab.nets.generation.projection import Projection
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.spectral import normalise_spectrally
from stylegan_lab.nets.verdict import Verdict


class DCGANClassGenerator(nn.Module):
    """DCGAN's generator, whose norms are the class's own; noise alone goes in."""

    def __init__(
        self,
        latent_size: int = 100,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        most_channels: int = 512,
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__()
        at_least("generator.channels", channels, 1)
        side, widths = pyramid("generator", size, channels, most_channels)
        planned = list(reversed(widths))
        doublings = [nn.ConvTranspose2d(one, two, 4, 2, 1, bias=False) for one, two in pairwise(planned)]
        self.convs = nn.ModuleList([nn.ConvTranspose2d(latent_size, planned[0], side, bias=False), *doublings])
        self.norms = nn.ModuleList(ClassNorm(width, classes) for width in planned)
        self.head = nn.Sequential(nn.ConvTranspose2d(widths[0], image_channels, 4, 2, 1), nn.Tanh())
        initialise(self, initialisation)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        x = latents[:, :, None, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = norm(conv(x), condition).relu()
        pictures: Tensor = self.head(x)
        return pictures


class DCGANProjectionCritic(nn.Module):
    """Halvings without a batch norm, and a projection on all that is left of the picture, place by place."""

    def __init__(
        self,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 64,
        channels: int = 64,
        most_channels: int = 512,
        spectral: bool = True,
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__()
        at_least("adversary.channels", channels, 1)
        side, widths = pyramid("adversary", size, channels, most_channels)
        halvings = [
            part
            for one, two in pairwise([image_channels, *widths])
            for part in (nn.Conv2d(one, two, 4, 2, 1), nn.LeakyReLU(0.2))
        ]
        self.layers = nn.Sequential(*halvings, nn.Flatten())
        self.judge = Projection(widths[-1] * side**2, classes)
        initialise(self, initialisation)
        if spectral:
            normalise_spectrally(self)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Verdict:
        return Verdict((self.judge(self.layers(image), condition),))
