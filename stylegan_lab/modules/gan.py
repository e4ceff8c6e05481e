"""The adversarial game (Goodfellow et al., 2014): a critic's turn, on reals and fresh fakes, then the generator's."""

import torch
from torch import Tensor

from stylegan_lab.images.batch import Plain
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.generative import GenerativeModule


class GAN(GenerativeModule):
    def training_step(self, batch: Plain, batch_idx: int) -> None:
        real, condition = batch["image"], self.condition(batch)
        self.descend_critics(self.critics, self.critic_terms, real, condition)
        if self.contest.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, real, condition)

    def critic_terms(self, real: Tensor, condition: Tensor | None) -> Terms:
        with torch.no_grad():
            fake = self.generator(self.latents(len(real)), condition)
        return self.contest.critic(self.knowing(condition), real, fake, self.iteration)

    def generator_terms(self, real: Tensor, condition: Tensor | None) -> Terms:
        fake = self.generator(self.latents(len(real)), condition)
        return self.contest.generator(self.knowing(condition), real, fake)
