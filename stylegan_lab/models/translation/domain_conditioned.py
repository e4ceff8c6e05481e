"""The base class of models that translate between many domains: generator and discriminator are conditioned on a label."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import DomainBatch, UnpairedBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.networks.discriminators.output import Discriminator
from stylegan_lab.networks.layers.conditioning import append_condition_maps
from stylegan_lab.suggestions import lookup


class DomainConditionedModel(AdversarialModel):
    """Base class of multi-domain models. The direction `a2b` translates to the domain `target`, and `b2a` to the domain `source`.
    The name of any domain can also be used as a direction."""

    batch_type = DomainBatch
    directions = ("a2b", "b2a")
    network_arguments: ClassVar = {"generator": ("condition_channels",), "discriminator": ("image_channels",)}

    def __init__(
        self,
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        domains: Sequence[str],
        source: str,
        target: str,
        image_channels: int,
        d_lr_mult: float,
        clip_gradients: float | None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, d_lr_mult, clip_gradients, extra_losses)
        self.domains = list(domains)
        self.direction_domains = {"a2b": target, "b2a": source}
        self.discriminator = discriminator(image_channels=image_channels + len(self.domains))

    @staticmethod
    def build_conditional_generator(generator: Callable[..., nn.Module], channels: int) -> nn.Module:
        try:
            return generator(condition_channels=channels)
        except TypeError:
            raise UserError(
                "model.network_mismatch",
                "this model translates between several domains, but its generator does not have the parameter "
                "condition_channels; use generator=stargan2, or a resnet or unet generator",
            ) from None

    def conditioned_discriminator(self, label: Tensor) -> Discriminator:
        """Return the discriminator, conditioned on `label`, the domains of the images that it will get."""
        return lambda image: self.discriminator(self.append_label_maps(image, label))

    def discriminators_for(self, image: Tensor) -> Sequence[Discriminator]:
        return (self.conditioned_discriminator(self.target_labels("a2b", image)),)

    def append_label_maps(self, image: Tensor, label: Tensor) -> Tensor:
        return append_condition_maps(image, F.one_hot(label, len(self.domains)))

    def target_labels(self, direction: str, images: Tensor) -> Tensor:
        """Return the index of the target domain, repeated for each image."""
        name = self.direction_domains.get(direction, direction)
        numbers = {domain: index for index, domain in enumerate(self.domains)}
        number = lookup("--to", name, numbers, "translate.unknown_direction")
        return torch.full((len(images),), number, device=images.device)

    def sample_rows(self, batch: UnpairedBatch) -> dict[str, Tensor]:
        """Return the input images and, for each domain, a row of their translations to that domain."""
        return {"input": batch["a"]} | {f"to {domain}": self.translate(batch["a"], domain) for domain in self.domains}
