"""Multidomain: one translator for many domains (after Choi et al., 2018), told by a label where to go; a conditional critic."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from stylegan_lab.images.batch import Domains
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.terms import Terms, mean_absolute
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.among_domains import AmongDomains
from stylegan_lab.modules.module import OptimizerFactory, Schedule


class Multidomain(AmongDomains):
    averaged = ("translator",)

    def __init__(
        self,
        translator: Callable[..., nn.Module],
        critic: Callable[..., nn.Module],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        domains: Sequence[str],
        source: str,
        target: str,
        image_channels: int = 3,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.0,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(
            critic, loss, optimizer, schedule, domains, source, target, image_channels, critic_rate, clip_gradients
        )
        at_least("model.cycle_weight", cycle_weight, 0)
        at_least("model.identity_weight", identity_weight, 0)
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.translator = self.conditioned(translator, len(self.domains))
        self.generators = self.generator_player("generators", self.translator)
        self.critics = self.critic_player("critics", self.critic)

    def training_step(self, batch: Domains, batch_idx: int) -> None:
        fake = self.translated(batch["a"], batch["target"])
        self.descend_critics(self.critics, self.critic_terms, batch, fake.detach())
        if self.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, batch, fake)

    def critic_terms(self, batch: Domains, fake: Tensor) -> Terms:
        return self.contest.critic(self.knowing(batch["target"]), batch["b"], fake, self.iteration)

    def generator_terms(self, batch: Domains, fake: Tensor) -> Terms:
        terms = self.contest.generator(self.knowing(batch["target"]), batch["b"], fake)
        if self.cycle_weight > 0:
            back = self.translated(fake, batch["source"])
            terms |= Terms({"cycle": self.cycle_weight * mean_absolute(back, batch["a"])})
        if self.identity_weight > 0:
            same = self.translated(batch["a"], batch["source"])
            terms |= Terms({"identity": self.identity_weight * mean_absolute(same, batch["a"])})
        return terms

    def translated(self, image: Tensor, label: Tensor) -> Tensor:
        there: Tensor = self.translator(self.labelled(image, label))
        return there

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        return self.translated(image, self.label(direction, image))
