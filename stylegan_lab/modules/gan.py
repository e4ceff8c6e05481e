"""The adversarial game (Goodfellow et al., 2014): a critic's turn, on reals and fresh fakes, then the generator's."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import Plain
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.draws import for_each
from stylegan_lab.losses.terms import Terms
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.nets.latents import Latents


class GAN(GenerativeModule):
    """In its turn the generator makes `fakes_per_real` pictures for each that the critic is shown of it. `dequantisation` is the
    noise on real pictures, from 0 to it, that fills the steps between their levels."""

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        critic: Callable[..., nn.Module],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        latents: Latents,
        classes: Sequence[str] = (),
        image_channels: int = 3,
        fakes_per_real: int = 1,
        dequantisation: float = 0.0,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(
            generator, critic, loss, optimizer, schedule, latents, classes, image_channels, critic_rate, clip_gradients
        )
        at_least("model.fakes_per_real", fakes_per_real, 1)
        at_least("model.dequantisation", dequantisation, 0)
        self.fakes_per_real, self.dequantisation = fakes_per_real, dequantisation

    def training_step(self, batch: Plain, batch_idx: int) -> None:
        real, condition = self.dequantised(batch["image"]), self.condition(batch)
        self.descend_critics(self.critics, self.critic_terms, real, condition)
        if self.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, real, condition)

    def critic_terms(self, real: Tensor, condition: Tensor | None) -> Terms:
        with torch.no_grad():
            fake = self.generator(self.latents(len(real)), condition)
        return self.contest.critic(self.knowing(condition), real, fake, self.iteration)

    def generator_terms(self, real: Tensor, condition: Tensor | None) -> Terms:
        many = self.fakes_per_real
        conditions = None if condition is None else condition.repeat_interleave(many, dim=0)
        fake = self.generator(self.latents(len(real), many), conditions)
        return self.contest.generator(self.knowing(conditions), real.repeat_interleave(many, dim=0), fake)

    def dequantised(self, real: Tensor) -> Tensor:
        if self.dequantisation == 0:
            return real
        noise = for_each(len(real), lambda count, dice: torch.rand(count, *real.shape[1:], generator=dice))
        return real + self.dequantisation * noise.to(real)
