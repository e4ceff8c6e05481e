"""AdaIN's decoder (Huang & Belongie, 2017), from features to an image. It mirrors VGG19 up to relu4_1."""

import torch
from torch import Tensor, nn

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.resampling import ReflectionPad
from stylegan_lab.precision import to_float32

# Output channels of each convolution, with upsampling between stages.
STAGES = ((256,), (256, 256, 256, 128), (128, 64), (64,))


class AdaINDecoder(nn.Module):
    """The decoder of AdaIN, with nearest-neighbor upsampling, reflection padding and no norm. `width` multiplies the channels."""

    def __init__(
        self,
        in_channels: int = 512,
        image_channels: int = 3,
        n_upsample: int = 3,
        width: float = 1.0,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        if not 1 <= n_upsample < len(STAGES):
            raise UserError(
                "model.network_mismatch",
                f"generator=adain_decoder inverts an encoder that halves the image 1 to {len(STAGES) - 1} times, but the layers "
                f"of this encoder halve it {n_upsample} times; set features=vgg19_adain or untrained, or remove the deepest layers "
                "from features.style",
            )
        check_at_least("generator.width", width, 0.01)
        layers: list[nn.Module] = []
        channels = in_channels
        for index, stage in enumerate(STAGES[len(STAGES) - 1 - n_upsample :]):
            if index > 0:
                layers.append(nn.Upsample(scale_factor=2))
            for out_channels in (max(4, round(full_width * width)) for full_width in stage):
                layers += [ReflectionPad(1), nn.Conv2d(channels, out_channels, 3), nn.ReLU()]
                channels = out_channels
        self.layers = nn.Sequential(*layers, ReflectionPad(1), nn.Conv2d(channels, image_channels, 3))
        self.multiple_of = self.min_size = 4 * 2**n_upsample
        initialize_weights(self, initialization)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


def adaptive_instance_norm(features: Tensor, mean: Tensor, std: Tensor, epsilon: float = 1e-5) -> Tensor:
    """AdaIN: give the channels of `features` another mean and standard deviation."""
    features = to_float32(features)  # squares overflow in float16
    variance, own_mean = torch.var_mean(features, dim=(2, 3), keepdim=True, unbiased=False)
    return (features - own_mean) / (variance + epsilon).sqrt() * std + mean
