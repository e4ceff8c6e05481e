"""Multidomain: one generator for many domains, conditioned on the target label (after StarGAN, Choi et al., 2018)."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.images.batch import DomainBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output, l1_loss
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.models.translation.domain_conditioned import DomainConditionedModel


class MultiDomain(DomainConditionedModel):
    """Trains with a GAN loss whose discriminator is conditional, a cycle loss back to the source domain, and an identity loss."""

    ema_networks = ("generator",)

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        domains: Sequence[str],
        source: str,
        target: str,
        image_channels: int = 3,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.0,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(
            discriminator,
            loss,
            optimizer,
            schedule,
            domains,
            source,
            target,
            image_channels,
            d_lr_mult,
            clip_gradients,
            extra_losses,
        )
        check_at_least("model.cycle_weight", cycle_weight, 0)
        check_at_least("model.identity_weight", identity_weight, 0)
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.generator = self.build_conditional_generator(generator, len(self.domains))
        self.generators = self.add_generators("generators", self.generator)
        self.discriminators = self.add_discriminators("discriminators", self.discriminator)

    def training_step(self, batch: DomainBatch, batch_idx: int) -> None:
        fake = self.shared(self.translate_to_label, batch["a"], batch["target"])
        self.optimize_discriminators(self.discriminators, self.discriminator_losses, batch, fake.detached)
        if self.is_generator_step(self.iteration):
            self.optimize(self.generators, self.generator_losses, batch, fake)

    def discriminator_losses(self, batch: DomainBatch, fake: Tensor) -> Losses:
        discriminator = self.conditioned_discriminator(batch["target"])
        return self.adversarial_loss.discriminator_loss(discriminator, batch["b"], fake, self.iteration)

    def generator_losses(self, batch: DomainBatch, fake: Tensor) -> Losses:
        discriminator = self.conditioned_discriminator(batch["target"])
        losses = self.adversarial_loss.generator_loss(discriminator, batch["b"], fake)
        if self.cycle_weight > 0:
            back = self.translate_to_label(fake, batch["source"])
            losses |= Losses({"cycle": self.cycle_weight * l1_loss(back, batch["a"])})
        if self.identity_weight > 0:
            same = self.translate_to_label(batch["a"], batch["source"])
            losses |= Losses({"identity": self.identity_weight * l1_loss(same, batch["a"])})
        return losses | Losses({}, outputs={"fake": Output(fake, batch["a"], batch["b"])})

    def translate_to_label(self, image: Tensor, label: Tensor) -> Tensor:
        translated: Tensor = self.generator(self.append_label_maps(image, label))
        return translated

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        return self.translate_to_label(image, self.target_labels(direction, image))
