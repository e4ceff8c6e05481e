"""Among domains: what translators between many named domains share. A label tells them, and their critic, where to go."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.images.batch import Domains, Unpaired
from stylegan_lab.losses.contest import Contest
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.adversarial import AdversarialModule
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.nets.condition import laid_on
from stylegan_lab.nets.verdict import Judge


class AmongDomains(AdversarialModule):
    """`a2b` goes to `target`, `b2a` to `source`, and each of `domains` is a direction by its name."""

    takes = Domains
    directions = ("a2b", "b2a")

    def __init__(
        self,
        critic: Callable[..., nn.Module],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        domains: Sequence[str],
        source: str,
        target: str,
        image_channels: int,
        critic_rate: float,
        clip_gradients: float | None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, critic_rate, clip_gradients)
        self.domains = list(domains)
        self.usual = {"a2b": target, "b2a": source}
        self.critic = critic(image_channels=image_channels + len(self.domains))

    @staticmethod
    def conditioned(translator: Callable[..., nn.Module], channels: int) -> nn.Module:
        try:
            return translator(condition_channels=channels)
        except TypeError:
            raise Mistake(
                "a translator among domains is told where to go by maps laid on the picture, which this one does not take; "
                "give translator=stargan2, or one of the resnet and unet family"
            ) from None

    def knowing(self, label: Tensor) -> Judge:
        """The critic, told of which domain the images are said to be."""
        return lambda image: self.critic(self.labelled(image, label))

    def labelled(self, image: Tensor, label: Tensor) -> Tensor:
        return laid_on(image, F.one_hot(label, len(self.domains)))

    def label(self, direction: str, images: Tensor) -> Tensor:
        """The number of the domain gone to, once for each image."""
        name = self.usual.get(direction, direction)
        number = choose("--to", name, {domain: place for place, domain in enumerate(self.domains)})
        return torch.full((len(images),), number, device=images.device)

    def sample(self, batch: Unpaired) -> list[Tensor]:
        """The source, and a row for each domain."""
        return [batch["a"], *(self.translate(batch["a"], domain) for domain in self.domains)]
