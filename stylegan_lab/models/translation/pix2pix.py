"""pix2pix (Isola et al., 2017): paired translation with an L1 loss and a discriminator conditioned on the input."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.images.batch import PairedBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.feature_matching import feature_matching
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output, l1_loss
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.networks.discriminators.output import ConditionedDiscriminator, Discriminator
from stylegan_lab.networks.train_mode_inference import apply_in_train_mode


class Pix2Pix(AdversarialModel):
    """Trains with a conditional GAN loss and an L1 loss on paired images.

    Args:
        feature_matching_weight: The weight of feature matching on the discriminator's feature maps (pix2pixHD: 10).
        train_mode_at_test: Keep dropout and batch statistics on when translating, as published.
    """

    batch_type = PairedBatch
    ema_networks = ("generator",)
    network_arguments: ClassVar = {"discriminator": ("image_channels",)}

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        image_channels: int = 3,
        pixel_weight: float = 100.0,
        feature_matching_weight: float = 0.0,
        train_mode_at_test: bool = True,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, d_lr_mult, clip_gradients, extra_losses)
        check_at_least("model.pixel_weight", pixel_weight, 0)
        check_at_least("model.feature_matching_weight", feature_matching_weight, 0)
        self.generator, self.discriminator = generator(), discriminator(image_channels=2 * image_channels)
        self.pixel_weight, self.feature_matching_weight = pixel_weight, feature_matching_weight
        self.train_mode_at_test = train_mode_at_test
        self.generators = self.add_generators("generators", self.generator)
        self.discriminators = self.add_discriminators("discriminators", self.discriminator)

    def training_step(self, batch: PairedBatch, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        fake = self.shared(self.generator, a)
        self.optimize_discriminators(self.discriminators, self.discriminator_losses, a, b, fake.detached)
        if self.is_generator_step(self.iteration):
            self.optimize(self.generators, self.generator_losses, a, b, fake)

    def discriminator_losses(self, a: Tensor, b: Tensor, fake: Tensor) -> Losses:
        return self.adversarial_loss.discriminator_loss(self.conditioned_discriminator(a), b, fake, self.iteration)

    def generator_losses(self, a: Tensor, b: Tensor, fake: Tensor) -> Losses:
        losses = self.adversarial_loss.generator_loss(self.conditioned_discriminator(a), b, fake)
        if self.pixel_weight > 0:
            losses |= Losses({"pixel": self.pixel_weight * l1_loss(fake, b)})
        if self.feature_matching_weight > 0:
            matching = feature_matching(self.conditioned_discriminator(a), b, fake)
            losses |= Losses({"feature_matching": self.feature_matching_weight * matching})
        return losses | Losses({}, outputs={"fake": Output(fake, a, b)})

    def conditioned_discriminator(self, a: Tensor) -> Discriminator:
        """Return the discriminator, conditioned on the input images `a` by concatenation."""
        return ConditionedDiscriminator(self.discriminator, a)

    def discriminators_for(self, image: Tensor) -> Sequence[Discriminator]:
        return (self.conditioned_discriminator(image),)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = (
            apply_in_train_mode(self.generator, image) if self.train_mode_at_test else self.generator(image)
        )
        return translated

    def sample_rows(self, batch: PairedBatch) -> dict[str, Tensor]:
        return {"input": batch["a"], "output": self.translate(batch["a"]), "target": batch["b"]}
