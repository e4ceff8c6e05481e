"""StarGAN v2's critic (Choi et al., 2020): one trunk, and for each domain a logit of its own."""

from collections.abc import Sequence

from torch import Tensor, nn

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.preactivated_block import halving_trunk
from stylegan_lab.nets.verdict import Verdict


class DomainCritic(nn.Module):
    """Of the `image_channels` all behind the picture's own are the label of one of `domains`, laid on as maps, which says
    what logit is meant. Without a label there is one logit."""

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
        self.picture_channels, self.labels = picture_channels, image_channels - picture_channels
        if self.labels not in (0, len(domains)):
            raise Mistake(
                f"critic=stargan2 has a logit for each of {len(domains)} domains, and is shown {self.labels} channels beside the "
                "picture; it is for model=stargan2 and multidomain (give critic=patch)"
            )
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
        image, label = labelled[:, : self.picture_channels], labelled[:, self.picture_channels :, 0, 0]
        logits = self.heads(self.trunk(image)).flatten(1)
        return Verdict(((logits * label).sum(dim=1, keepdim=True) if self.labels else logits,))
