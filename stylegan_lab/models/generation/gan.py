"""GAN (Goodfellow et al., 2014): a discriminator step on real and generated images, then a generator step."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.images.batch import ImageBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.networks.latents import Latents
from stylegan_lab.rng import rand


class GAN(GenerativeModel):
    """Trains the noise-to-image GANs that differ only in networks and losses: GAN, DCGAN, WGAN, SNGAN, R3GAN, ...

    Args:
        fakes_per_real: The number of images that are generated in a generator step for each real image of the batch.
        dequantization: Uniform noise from 0 to this value is added to real images, to fill the gaps between gray levels.
    """

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        latents: Latents,
        classes: Sequence[str] = (),
        image_channels: int = 3,
        fakes_per_real: int = 1,
        dequantization: float = 0.0,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(
            generator,
            discriminator,
            loss,
            optimizer,
            schedule,
            latents,
            classes,
            image_channels,
            d_lr_mult,
            clip_gradients,
            extra_losses,
        )
        check_at_least("model.fakes_per_real", fakes_per_real, 1)
        check_at_least("model.dequantization", dequantization, 0)
        self.fakes_per_real, self.dequantization = fakes_per_real, dequantization

    def training_step(self, batch: ImageBatch, batch_idx: int) -> None:
        real, condition = self.shared(self.dequantize, batch["image"]).detached, self.condition(batch)
        self.optimize_discriminators(self.discriminators, self.discriminator_losses, real, condition)
        if self.is_generator_step(self.iteration):
            self.optimize(self.generators, self.generator_losses, real, condition)

    def discriminator_losses(self, real: Tensor, condition: Tensor | None) -> Losses:
        with torch.no_grad():
            fake = self.generator(self.sample_latents(len(real)), condition)
        discriminator = self.conditioned_discriminator(condition)
        return self.adversarial_loss.discriminator_loss(discriminator, real, fake, self.iteration)

    def generator_losses(self, real: Tensor, condition: Tensor | None) -> Losses:
        count = self.fakes_per_real
        conditions = None if condition is None else condition.repeat_interleave(count, dim=0)
        fake = self.generator(self.sample_latents(len(real), count), conditions)
        discriminator = self.conditioned_discriminator(conditions)
        reals = real.repeat_interleave(count, dim=0)
        losses = self.adversarial_loss.generator_loss(discriminator, reals, fake)
        return losses | Losses({}, outputs={"fake": Output(fake, real=reals)})

    def dequantize(self, real: Tensor) -> Tensor:
        if self.dequantization == 0:
            return real
        return real + self.dequantization * rand(*real.shape, device=real.device).to(real)
