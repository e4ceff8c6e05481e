"""PatchGAN (Isola et al., 2017): a logit per patch. Three layers see 70x70 pixels each."""

from itertools import pairwise

from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.mistake import at_least
from stylegan_lab.nets.blocks import Blur, Down, Norm, needs_bias, norm_layer
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.verdict import Verdict


class PatchCritic(nn.Module):
    """`layers` halving convolutions, then two that keep the size; `image_channels` counts a condition stacked on the image.
    Antialiased, a halving is blurred (CUT)."""

    multiple_of = 1

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        down: Down = "strided",
        dropout: float = 0.0,
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__()
        at_least("critic.channels", channels, 1)
        at_least("critic.layers", layers, 1)
        at_least("critic.dropout", dropout, 0)
        self.at_least = 2 ** (layers + 2)  # smaller, and the last two convolutions have nothing left to see
        widths = [channels * min(2**layer, 8) for layer in range(layers + 1)]
        blurred = choose("critic.down", down, {"strided": False, "antialiased": True})
        drop = [nn.Dropout(dropout)] if dropout > 0 else []
        parts: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(pairwise([image_channels, *widths])):
            halves, first = place < layers, place == 0
            conv = nn.Conv2d(inputs, outputs, 4, 2 if halves and not blurred else 1, 1, bias=first or needs_bias(norm))
            parts += [conv, nn.LeakyReLU(0.2)] if first else [conv, norm_layer(norm, outputs), nn.LeakyReLU(0.2), *drop]
            parts += [Blur(outputs, taps=3, stride=2)] if halves and blurred else []
        self.layers = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        initialise(self, initialisation)

    def forward(self, image: Tensor) -> Verdict:
        x, features = image, []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return Verdict((x,), features=tuple(features))
