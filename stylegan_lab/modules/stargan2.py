"""StarGAN v2 (Choi et al., 2020): many domains, and in each of them many styles, from noise or from a reference picture."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import Domains, Unpaired
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.draws import for_each
from stylegan_lab.losses.terms import Terms, mean_absolute
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.among_domains import AmongDomains
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.nets.condition import laid_on
from stylegan_lab.nets.style_coder import StyleCoder

Code = Callable[[], Tensor]  # a style of the domain gone to


class StarGAN2(AmongDomains):
    """Two turns of the critic and two of the translator in each iteration: with styles from noise, then from references.
    Mapping and encoder move in the first only; the mapping at `mapping_rate` times the rate of the others. `diversity_weight`
    falls to 0 over the share `diversity_until` of the budget. The critic's real pictures are the references."""

    averaged = ("translator", "coder")

    def __init__(
        self,
        translator: Callable[..., nn.Module],
        critic: Callable[..., nn.Module],
        coder: Callable[..., StyleCoder],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        domains: Sequence[str],
        source: str,
        target: str,
        image_channels: int = 3,
        style_weight: float = 1.0,
        diversity_weight: float = 1.0,
        diversity_until: float = 1.0,
        cycle_weight: float = 1.0,
        mapping_rate: float = 0.01,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(
            critic, loss, optimizer, schedule, domains, source, target, image_channels, critic_rate, clip_gradients
        )
        weights = {"style": style_weight, "diversity": diversity_weight, "cycle": cycle_weight}
        for name, weight in weights.items():
            at_least(f"model.{name}_weight", weight, 0)
        at_least("model.diversity_until", diversity_until, 0)
        self.weights, self.diversity_until = weights, diversity_until
        self.coder = coder(domains=len(self.domains))
        self.translator = self.conditioned(translator, self.coder.styles)
        self.generators = self.generator_player("generators", self.translator)
        self.mappers = self.player("mappers", self.coder.mapping, optimizer=optimizer, rate=mapping_rate)
        self.encoders = self.generator_player("encoders", self.coder.encoder)
        self.critics = self.critic_player("critics", self.critic)

    def training_step(self, batch: Domains, batch_idx: int) -> None:
        target = batch["target"]
        noise, more_noise = (for_each(len(target), self.noise).to(self.device) for _ in range(2))

        def drawn(which: Tensor) -> Code:
            return lambda: self.coder.mapping(which, target)

        def seen(which: Tensor) -> Code:
            return lambda: self.coder.encoder(which, target)

        for name, code in (("drawn", drawn(noise)), ("seen", seen(batch["b"]))):
            with torch.no_grad():
                fake = self.translated(batch["a"], code())
            self.descend_critics(self.critics, self.critic_terms, name, batch, fake)
        if self.generators_play(self.iteration):
            all_three = [self.generators, self.mappers, self.encoders]
            self.descend(all_three, self.generator_terms, "drawn", batch, drawn(noise), drawn(more_noise))
            self.descend(self.generators, self.generator_terms, "seen", batch, seen(batch["b"]), seen(batch["other"]))

    def critic_terms(self, name: str, batch: Domains, fake: Tensor) -> Terms:
        terms = self.contest.critic(self.knowing(batch["target"]), batch["b"], fake, self.iteration)
        return terms.named(name)

    def generator_terms(self, name: str, batch: Domains, code: Code, other_code: Code) -> Terms:
        a, style = batch["a"], code()
        fake = self.translated(a, style)
        terms = self.contest.generator(self.knowing(batch["target"]), batch["b"], fake)
        if self.weights["style"] > 0:
            found = self.coder.encoder(fake, batch["target"])
            terms |= Terms({"style": self.weights["style"] * mean_absolute(found, style)})
        if (weight := self.diversity_now()) > 0:
            with torch.no_grad():
                other = self.translated(a, other_code())
            terms |= Terms({"diversity": -weight * mean_absolute(fake, other)})
        if self.weights["cycle"] > 0:
            back = self.translated(fake, self.coder.encoder(a, batch["source"]))
            terms |= Terms({"cycle": self.weights["cycle"] * mean_absolute(back, a)})
        return terms.named(name)

    def diversity_now(self) -> float:
        """A function of the iteration, which a resumed run cannot forget."""
        span = self.diversity_until * self.budget if self.budget else float("inf")
        return self.weights["diversity"] * max(0.0, 1 - (self.iteration - 1) / span) if span > 0 else 0.0

    def translated(self, image: Tensor, style: Tensor) -> Tensor:
        there: Tensor = self.translator(laid_on(image, style))
        return there

    def noise(self, count: int, chance: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, self.coder.latents, generator=chance)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        """Each picture of a batch in a style of its own, the same each time for a `style_seed`."""
        noise = self.noise(len(image), torch.Generator().manual_seed(self.style_seed)).to(self.device)
        return self.translated(image, self.coder.mapping(noise, self.label(direction, image)))

    def translate_like(self, image: Tensor, reference: Tensor, direction: str = "a2b") -> Tensor:
        style = self.coder.encoder(reference, self.label(direction, reference))
        return self.translated(image, style.expand(len(image), -1))

    def sample(self, batch: Unpaired) -> list[Tensor]:
        """The source, a row for each domain, and the target domain after the pictures in the last row."""
        after = self.coder.encoder(batch["b"], self.label("a2b", batch["b"]))
        return [*super().sample(batch), self.translated(batch["a"], after), batch["b"]]
