"""Perceptual GAN: L = alpha content + beta style + gamma adversarial + pixel (Johnson et al., 2016; Ledig et al., 2017), for
unpaired or paired data."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from torch import Tensor, nn

from stylegan_lab.errors import UserError, any_positive_weight_error, check_at_least
from stylegan_lab.images.batch import BatchType, PairedBatch, UnpairedBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output, l1_loss
from stylegan_lab.losses.perceptual import PerceptualLoss
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.models.warm_start import warm_start
from stylegan_lab.networks.discriminators.output import Discriminator


class PerceptualGAN(AdversarialModel):
    """A generator trained with perceptual, adversarial and pixel losses. A loss of weight 0 is not computed.

    Args:
        paired: Compare content and pixels with the paired target; false compares them with the input. Style is compared with
            images of the target domain in both cases.
        init_from: A run or checkpoint whose networks initialize generator and discriminator.
    """

    batch_type: BatchType = UnpairedBatch
    supports_upscaling = True
    ema_networks = ("generator",)

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: Callable[[], nn.Module],
        features: Callable[[], PerceptualLoss],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        paired: bool = False,
        content_weight: float = 1.0,
        style_weight: float = 100.0,
        adversarial_weight: float = 1.0,
        pixel_weight: float = 0.0,
        init_from: str | None = None,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, d_lr_mult, clip_gradients, extra_losses)
        weights = {
            "content": content_weight,
            "style": style_weight,
            "adversarial": adversarial_weight,
            "pixel": pixel_weight,
        }
        for name, weight in weights.items():
            check_at_least(f"model.{name}_weight", weight, 0)
        any_positive_weight_error(**weights)
        self.batch_type = PairedBatch if paired else UnpairedBatch
        self.paired, self.weights = paired, weights
        self.generator, self.discriminator = generator(), discriminator()
        if not paired and getattr(self.generator, "factor", 1) > 1:
            raise UserError(
                "model.pairs_needed", "a super-resolution generator needs paired targets: set model.paired=true"
            )
        self._features, self._init_from = features, init_from
        self.generators = self.add_generators("generators", self.generator)
        self.discriminators = self.add_discriminators("discriminators", self.discriminator)

    @cached_property
    def perceptual_loss(self) -> PerceptualLoss:
        return self._features()

    def load_feature_networks(self) -> list[str]:
        return self.perceptual_loss.notes() if self.weights["content"] > 0 or self.weights["style"] > 0 else []

    def on_new_training(self) -> list[str]:
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        return warm_start(networks, self._init_from) if self._init_from is not None else []

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        fake = self.shared(self.generator, a)
        if self.weights["adversarial"] > 0:
            self.optimize_discriminators(self.discriminators, self.discriminator_losses, b, fake.detached)
        if self.is_generator_step(self.iteration):
            self.optimize(self.generators, self.generator_losses, a, b, fake)

    def is_generator_step(self, iteration: int) -> bool:
        return self.weights["adversarial"] == 0 or super().is_generator_step(iteration)

    def discriminator_losses(self, b: Tensor, fake: Tensor) -> Losses:
        return self.adversarial_loss.discriminator_loss(self.discriminator, b, fake, self.iteration)

    def generator_losses(self, a: Tensor, b: Tensor, fake: Tensor) -> Losses:
        losses, weights = Losses({}), self.weights
        target = b if self.paired else a
        if weights["adversarial"] > 0:
            losses |= self.adversarial_loss.generator_loss(self.discriminator, b, fake).scaled(weights["adversarial"])
        if weights["content"] > 0 or weights["style"] > 0:
            features = self.perceptual_loss.features(fake)
        if weights["content"] > 0:
            content = self.perceptual_loss.content(features, self.perceptual_loss.target_features(target))
            losses |= Losses({"content": weights["content"] * content})
        if weights["style"] > 0:
            style = self.perceptual_loss.style(features, self.perceptual_loss.target_features(b))
            losses |= Losses({"style": weights["style"] * style})
        if weights["pixel"] > 0:
            losses |= Losses({"pixel": weights["pixel"] * l1_loss(fake, target)})
        return losses | Losses({}, outputs={"fake": Output(fake, a, b)})

    def discriminators_for(self, image: Tensor) -> Sequence[Discriminator]:
        return (self.discriminator,)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.generator(image)
        return translated

    def sample_rows(self, batch: UnpairedBatch) -> dict[str, Tensor]:
        return {"a": batch["a"], "a to b": self.generator(batch["a"]), "b": batch["b"]}
