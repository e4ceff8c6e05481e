"""Multidomain: one translator for many domains (after Choi et al., 2018), told by a label where to go; a conditional critic."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.images.batch import Domains, Unpaired
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.terms import Terms, mean_absolute
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.adversarial import AdversarialModule
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.nets.verdict import Judge


class Multidomain(AdversarialModule):
    """Labels are laid on images as maps, one a domain. `a2b` goes to `target`, `b2a` to `source`, and each of `domains` is a
    direction by its name."""

    takes = Domains
    averaged = ("translator",)
    directions = ("a2b", "b2a")

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
        super().__init__(loss, optimizer, schedule, critic_rate, clip_gradients)
        at_least("model.cycle_weight", cycle_weight, 0)
        at_least("model.identity_weight", identity_weight, 0)
        self.domains = list(domains)
        self.usual = {"a2b": target, "b2a": source}
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.translator = translator(condition_channels=len(self.domains))
        self.critic = critic(image_channels=image_channels + len(self.domains))
        self.generators = self.generator_player("generators", self.translator)
        self.critics = self.critic_player("critics", self.critic)

    def training_step(self, batch: Domains, batch_idx: int) -> None:
        fake = self.translated(batch["a"], batch["target"])
        self.descend_critics(self.critics, self.critic_terms, batch, fake.detach())
        if self.contest.generators_play(self.iteration):
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

    def knowing(self, label: Tensor) -> Judge:
        """The critic, told of which domain the images are said to be."""
        return lambda image: self.critic(self.labelled(image, label))

    def translated(self, image: Tensor, label: Tensor) -> Tensor:
        there: Tensor = self.translator(self.labelled(image, label))
        return there

    def labelled(self, image: Tensor, label: Tensor) -> Tensor:
        maps = torch.nn.functional.one_hot(label, len(self.domains)).to(image)[:, :, None, None]
        return torch.cat([image, maps.expand(-1, -1, *image.shape[-2:])], dim=1)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        name = self.usual.get(direction, direction)
        number = choose("--to", name, {domain: place for place, domain in enumerate(self.domains)})
        return self.translated(image, torch.full((len(image),), number, device=image.device))

    def sample(self, batch: Unpaired) -> list[Tensor]:
        """The source, and a row for each domain."""
        return [batch["a"], *(self.translate(batch["a"], domain) for domain in self.domains)]
