"""AdaIN's decoder (Huang & Belongie, 2017): from a feature net's maps back to a picture, mirroring VGG19 down to relu4_1."""

import torch
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.padding import ReflectionPad

PLAN = ((256,), (256, 256, 256, 128), (128, 64), (64,))  # what each convolution gives; a doubling between two stages


class Decoder(nn.Module):
    """Nearest doubling, reflected edges, no norm. Of other encoders than VGG19, `inputs` and the number of `doublings` differ;
    `width` scales the channels."""

    def __init__(
        self,
        inputs: int = 512,
        image_channels: int = 3,
        doublings: int = 3,
        width: float = 1.0,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        if not 1 <= doublings < len(PLAN):
            raise Mistake(
                f"the decoder mirrors an encoder that halves one to {len(PLAN) - 1} times; this one halves {doublings} times "
                "(give features=vgg19_adain or untrained, or leave its deeper style layers out)"
            )
        at_least("decoder.width", width, 0.01)
        layers: list[nn.Module] = []
        channels = inputs
        for stage, outputs in enumerate(PLAN[len(PLAN) - 1 - doublings :]):
            if stage > 0:
                layers.append(nn.Upsample(scale_factor=2))
            for wanted in outputs:
                wide = max(4, round(wanted * width))
                layers += [ReflectionPad(1), nn.Conv2d(channels, wide, 3), nn.ReLU()]
                channels = wide
        self.layers = nn.Sequential(*layers, ReflectionPad(1), nn.Conv2d(channels, image_channels, 3))
        self.multiple_of = self.at_least = 4 * 2**doublings
        initialise(self, initialisation)

    def forward(self, maps: Tensor) -> Tensor:
        image: Tensor = self.layers(maps)
        return image


def restyled(maps: Tensor, mean: Tensor, deviation: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Adaptive instance normalisation: the maps with other means and deviations of their channels."""
    variance, own = torch.var_mean(maps, dim=(2, 3), keepdim=True, unbiased=False)
    return (maps - own) / (variance + epsilon).sqrt() * deviation + mean
