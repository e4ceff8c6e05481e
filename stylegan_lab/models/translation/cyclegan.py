"""CycleGAN (Zhu et al., 2017): two generators, trained with a cycle consistency loss."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from stylegan_lab.distributed import gather_to_rank_zero, own_value
from stylegan_lab.errors import check_at_least
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output, l1_loss
from stylegan_lab.losses.perceptual import PerceptualLoss
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.models.image_pool import ImagePool
from stylegan_lab.networks.discriminators.output import Discriminator


class CycleGAN(AdversarialModel):
    """Trains with adversarial, cycle and identity losses in both directions, and with optional perceptual losses.

    Args:
        identity_weight: The weight of the identity loss relative to `cycle_weight`, as published: 0.5 with a `cycle_weight` of 10
            is a weight of 5.
        pool_size: The number of past generated images of each domain that are kept for the discriminators.
        content_weight: The weight of the perceptual content distance between a translation and its input.
        style_weight: The weight of the perceptual style distance between a translation and images of its target domain.
    """

    batch_type = UnpairedBatch
    ema_networks = ("a_to_b", "b_to_a")
    directions = ("a2b", "b2a")

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: Callable[[], nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        features: Callable[[], PerceptualLoss] | None = None,
        content_weight: float = 0.0,
        style_weight: float = 0.0,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, d_lr_mult, clip_gradients, extra_losses)
        check_at_least("model.content_weight", content_weight, 0)
        check_at_least("model.style_weight", style_weight, 0)
        check_at_least("model.cycle_weight", cycle_weight, 0)
        check_at_least("model.identity_weight", identity_weight, 0)
        check_at_least("model.pool_size", pool_size, 0)
        self.a_to_b, self.b_to_a = generator(), generator()
        self.discriminator_a, self.discriminator_b = discriminator(), discriminator()
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.content_weight, self.style_weight, self._features = content_weight, style_weight, features
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.generators = self.add_generators("generators", self.a_to_b, self.b_to_a)
        self.discriminators = self.add_discriminators("discriminators", self.discriminator_a, self.discriminator_b)

    @cached_property
    def perceptual_loss(self) -> PerceptualLoss:
        assert self._features is not None
        return self._features()

    def load_feature_networks(self) -> list[str]:
        return self.perceptual_loss.notes() if self.content_weight > 0 or self.style_weight > 0 else []

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        if self.is_generator_step(self.iteration):
            fakes = self.optimize(self.generators, self.generator_losses, a, b).outputs
            fake_a, fake_b = fakes["b_fake"].fake, fakes["a_fake"].fake
        else:
            with torch.no_grad():
                fake_a, fake_b = self.shared(self.b_to_a, b).detached, self.shared(self.a_to_b, a).detached
        pooled_a, pooled_b = self.pool_a(fake_a), self.pool_b(fake_b)
        self.optimize_discriminators(self.discriminators, self.discriminator_losses, a, b, pooled_a, pooled_b)

    def generator_losses(self, a: Tensor, b: Tensor) -> Iterator[Losses]:
        """Yield one cycle or identity loss at a time. The gradients are the same, but only one graph is in memory at a time."""
        yield self._cycle_losses("a", a, self.a_to_b(a), self.b_to_a, self.discriminator_b, real=b)
        yield self._cycle_losses("b", b, self.b_to_a(b), self.a_to_b, self.discriminator_a, real=a)
        if (weight := self.cycle_weight * self.identity_weight) > 0:
            yield Losses({"a_identity": weight * l1_loss(self.b_to_a(a), a)})
            yield Losses({"b_identity": weight * l1_loss(self.a_to_b(b), b)})

    def discriminator_losses(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Iterator[Losses]:
        of_a = self.adversarial_loss.discriminator_loss(self.discriminator_a, a, fake_a, self.iteration)
        yield of_a.with_prefix("a")
        of_b = self.adversarial_loss.discriminator_loss(self.discriminator_b, b, fake_b, self.iteration)
        yield of_b.with_prefix("b")

    def _cycle_losses(
        self, name: str, image: Tensor, fake: Tensor, inverse: nn.Module, discriminator: nn.Module, real: Tensor
    ) -> Losses:
        """The losses of the cycle from `image` to `fake` and back."""
        losses = self.adversarial_loss.generator_loss(discriminator, real, fake)
        if self.cycle_weight > 0:
            losses |= Losses({"cycle": self.cycle_weight * l1_loss(inverse(fake), image)})
        if self.content_weight > 0 or self.style_weight > 0:
            losses |= self._perceptual_losses(image, fake, real)
        return (losses | Losses({}, outputs={"fake": Output(fake, image, real)})).with_prefix(name)

    def _perceptual_losses(self, image: Tensor, fake: Tensor, real: Tensor) -> Losses:
        losses, features = Losses({}), self.perceptual_loss.features(fake)
        if self.content_weight > 0:
            content = self.perceptual_loss.content(features, self.perceptual_loss.target_features(image))
            losses |= Losses({"content": self.content_weight * content})
        if self.style_weight > 0:
            style = self.perceptual_loss.style(features, self.perceptual_loss.target_features(real))
            losses |= Losses({"style": self.style_weight * style})
        return losses

    def discriminators_for(self, image: Tensor) -> Sequence[Discriminator]:
        return self.discriminator_a, self.discriminator_b

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = {"a2b": self.a_to_b, "b2a": self.b_to_a}[direction](image)
        return translated

    def sample_rows(self, batch: UnpairedBatch) -> dict[str, Tensor]:
        return {"a": batch["a"], "a to b": self.a_to_b(batch["a"]), "b": batch["b"], "b to a": self.b_to_a(batch["b"])}

    def on_train_start(self) -> None:
        super().on_train_start()
        for pool in (self.pool_a, self.pool_b):
            pool.to(self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = gather_to_rank_zero({"a": self.pool_a.state(), "b": self.pool_b.state()})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        pools = own_value(checkpoint["pools"])
        self.pool_a.restore(pools["a"])
        self.pool_b.restore(pools["b"])
