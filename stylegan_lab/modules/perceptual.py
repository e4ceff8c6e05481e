"""The perceptual-loss hybrid: L = alpha content + beta style + gamma adversarial, and pixels (Johnson et al., 2016; Ledig et
al., 2017), unpaired or from true pairs."""

from collections.abc import Callable
from functools import cached_property

from torch import Tensor, nn

from stylegan_lab.images.batch import Kind, Pair, Unpaired
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.perception import Perception
from stylegan_lab.losses.terms import Terms, mean_absolute
from stylegan_lab.mistake import Mistake, at_least, some_weight
from stylegan_lab.modules.adversarial import AdversarialModule
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.modules.warm_start import warm_start


class Perceptual(AdversarialModule):
    """Content is held to the source; of true pairs (`paired`), content and pixels are held to the truth. Style is that of the
    target domain. A weight of 0 costs nothing: without `adversarial_weight` no critic is asked."""

    takes: Kind = Unpaired
    enlarges = True
    averaged = ("translator",)

    def __init__(
        self,
        translator: Callable[[], nn.Module],
        critic: Callable[[], nn.Module],
        features: Callable[[], Perception],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        paired: bool = False,
        content_weight: float = 1.0,
        style_weight: float = 1.0,
        adversarial_weight: float = 1.0,
        pixel_weight: float = 0.0,
        init_from: str | None = None,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, critic_rate, clip_gradients)
        weights = {
            "content": content_weight,
            "style": style_weight,
            "adversarial": adversarial_weight,
            "pixel": pixel_weight,
        }
        for name, weight in weights.items():
            at_least(f"model.{name}_weight", weight, 0)
        some_weight(**weights)
        self.takes = Pair if paired else Unpaired
        self.paired, self.weights = paired, weights
        self.translator, self.critic = translator(), critic()
        if not paired and getattr(self.translator, "factor", 1) > 1:
            raise Mistake("a translator that enlarges is held to the larger picture: give model.paired=true")
        self._features, self._init_from = features, init_from
        self.generators = self.generator_player("generators", self.translator)
        self.critics = self.critic_player("critics", self.critic)

    @cached_property
    def perception(self) -> Perception:
        return self._features()

    def prepare(self) -> None:
        if self.weights["content"] > 0 or self.weights["style"] > 0:
            _ = self.perception

    def begin(self) -> list[str]:
        nets = {"translator": self.translator, "critic": self.critic}
        return warm_start(nets, self._init_from) if self._init_from is not None else []

    def training_step(self, batch: Unpaired, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        fake = self.translator(a)
        if self.weights["adversarial"] > 0:
            self.descend_critics(self.critics, self.critic_terms, b, fake.detach())
        if self.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, a, b, fake)

    def generators_play(self, iteration: int) -> bool:
        return self.weights["adversarial"] == 0 or super().generators_play(iteration)

    def critic_terms(self, b: Tensor, fake: Tensor) -> Terms:
        return self.contest.critic(self.critic, b, fake, self.iteration)

    def generator_terms(self, a: Tensor, b: Tensor, fake: Tensor) -> Terms:
        terms, weights = Terms({}), self.weights
        meant = b if self.paired else a
        if weights["adversarial"] > 0:
            terms |= self.contest.generator(self.critic, b, fake).weighed(weights["adversarial"])
        if weights["content"] > 0 or weights["style"] > 0:
            seen = self.perception.see(fake)
        if weights["content"] > 0:
            there = self.perception.content(seen, self.perception.remember(meant))
            terms |= Terms({"content": weights["content"] * there})
        if weights["style"] > 0:
            terms |= Terms({"style": weights["style"] * self.perception.style(seen, self.perception.remember(b))})
        if weights["pixel"] > 0:
            terms |= Terms({"pixel": weights["pixel"] * mean_absolute(fake, meant)})
        return terms

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.translator(image)
        return translated

    def sample(self, batch: Unpaired) -> list[Tensor]:
        return [batch["a"], self.translator(batch["a"]), batch["b"]]
