"""StarGAN v2's multi-domain discriminator (Choi et al., 2020): one trunk, and one logit per domain; also as a PatchGAN."""

from collections.abc import Sequence

from torch import Tensor, nn

from stylegan_lab.errors import UserError, check_minimums
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.layers.conditioning import split_condition_maps
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import Norm
from stylegan_lab.networks.layers.resampling import Down
from stylegan_lab.networks.layers.stargan2 import downsampling_trunk


class StarGAN2Discriminator(nn.Module):
    """Returns the logit of the domain that the label selects.

    The input has `image_channels` channels: an image of `data_channels` channels, then one constant map per domain that encodes
    the label. If the two numbers are equal, there are no label maps, and there is one logit.
    """

    multiple_of = 1

    def __init__(
        self,
        image_channels: int = 3,
        data_channels: int = 3,
        domains: Sequence[str] = (),
        size: int = 256,
        channels: int = 64,
        max_channels: int = 512,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        check_minimums("discriminator", channels=(channels, 1), size=(size, 8))
        self.data_channels = data_channels
        self.label_channels = _label_channels(image_channels, data_channels, domains)
        n_downsample = size.bit_length() - 3  # to 4x4
        self.min_size = 4 * 2**n_downsample
        self.trunk, deepest = downsampling_trunk(data_channels, channels, max_channels, n_downsample)
        self.heads = nn.Sequential(
            nn.Conv2d(deepest, deepest, 4), nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(deepest, self.label_channels or 1, 1),
        )  # fmt: skip
        initialize_weights(self, initialization)

    def forward(self, conditioned: Tensor) -> DiscriminatorOutput:
        image, label = split_condition_maps(conditioned, self.data_channels)
        logits = self.heads(self.trunk(image)).flatten(1)
        return DiscriminatorOutput(((logits * label).sum(dim=1, keepdim=True) if self.label_channels else logits,))


class MultiDomainPatchDiscriminator(PatchDiscriminator):
    """PatchGAN with one logit map per domain. The label is appended to the image, as for StarGAN2Discriminator."""

    def __init__(
        self,
        image_channels: int = 3,
        data_channels: int = 3,
        domains: Sequence[str] = (),
        channels: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        down: Down = "strided",
        dropout: float = 0.0,
        initialization: Initialization = "normal",
    ) -> None:
        super().__init__(data_channels, channels, layers, norm, down, dropout, initialization)
        self.data_channels = data_channels
        self.label_channels = _label_channels(image_channels, data_channels, domains)
        last = self.layers[-1]
        assert isinstance(last, nn.Conv2d)
        self.layers[-1] = heads = nn.Conv2d(last.in_channels, self.label_channels or 1, 4, 1, 1)
        initialize_weights(heads, initialization)

    def forward(self, conditioned: Tensor) -> DiscriminatorOutput:
        image, label = split_condition_maps(conditioned, self.data_channels)
        output = super().forward(image)
        if not self.label_channels:
            return output
        (maps,) = output.logits
        selected = (maps * label[:, :, None, None]).sum(dim=1, keepdim=True)
        return DiscriminatorOutput((selected,), features=output.features)


def _label_channels(image_channels: int, data_channels: int, domains: Sequence[str]) -> int:
    label_channels = image_channels - data_channels
    if label_channels not in (0, len(domains)):
        raise UserError(
            "model.network_mismatch",
            f"this discriminator has one output for each of {len(domains)} domains, but this model adds {label_channels} "
            "channels to its images; use model=stargan2 or model=multidomain, or set discriminator=patch",
        )
    return label_channels
