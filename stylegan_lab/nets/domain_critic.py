"""Critics among domains, as StarGAN v2's (Choi et al., 2020): one trunk, and for each domain logits of its own."""

from collections.abc import Sequence

from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.blocks import Down, Norm
from stylegan_lab.nets.condition import taken_off
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.preactivated_block import halving_trunk
from stylegan_lab.nets.verdict import Verdict


class DomainCritic(nn.Module):
    """StarGAN v2's own. Of the `image_channels` all behind the picture's own are the label of one of `domains`, laid on as
    maps, which says what logit is meant. Without a label there is one logit."""

    multiple_of = 1

    def __init__(
        self,
        image_channels: int = 3,
        picture_channels: int = 3,
        domains: Sequence[str] = (),
        size: int = 256,
        channels: int = 64,
        most_channels: int = 512,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        at_least("critic.channels", channels, 1)
        at_least("critic.size", size, 8)
        self.picture_channels, self.labels = picture_channels, _labels(image_channels, picture_channels, domains)
        halvings = size.bit_length() - 3  # down to 4x4
        self.at_least = 4 * 2**halvings
        self.trunk, deepest = halving_trunk(picture_channels, channels, most_channels, halvings)
        self.heads = nn.Sequential(
            nn.Conv2d(deepest, deepest, 4),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(deepest, self.labels or 1, 1),
        )
        initialise(self, initialisation)

    def forward(self, labelled: Tensor) -> Verdict:
        image, label = taken_off(labelled, self.picture_channels)
        logits = self.heads(self.trunk(image)).flatten(1)
        return Verdict(((logits * label).sum(dim=1, keepdim=True) if self.labels else logits,))


class DomainPatchCritic(PatchCritic):
    """PatchGAN with a map of logits for each domain; labelled as DomainCritic."""

    def __init__(
        self,
        image_channels: int = 3,
        picture_channels: int = 3,
        domains: Sequence[str] = (),
        channels: int = 64,
        layers: int = 3,
        norm: Norm = "instance",
        down: Down = "strided",
        dropout: float = 0.0,
        initialisation: Initialisation = "normal",
    ) -> None:
        super().__init__(picture_channels, channels, layers, norm, down, dropout, initialisation)
        self.picture_channels, self.labels = picture_channels, _labels(image_channels, picture_channels, domains)
        last = self.layers[-1]
        assert isinstance(last, nn.Conv2d)
        self.layers[-1] = heads = nn.Conv2d(last.in_channels, self.labels or 1, 4, 1, 1)
        initialise(heads, initialisation)

    def forward(self, labelled: Tensor) -> Verdict:
        image, label = taken_off(labelled, self.picture_channels)
        every = super().forward(image)
        if not self.labels:
            return every
        (maps,) = every.logits
        return Verdict(((maps * label[:, :, None, None]).sum(dim=1, keepdim=True),), features=every.features)


def _labels(image_channels: int, picture_channels: int, domains: Sequence[str]) -> int:
    labels = image_channels - picture_channels
    if labels not in (0, len(domains)):
        raise Mistake(
            f"this critic has logits for each of {len(domains)} domains, and is shown {labels} channels beside the "
            "picture; it is for model=stargan2 and multidomain (give critic=patch)"
        )
    return labels
