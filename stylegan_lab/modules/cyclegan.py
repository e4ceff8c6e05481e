"""CycleGAN (Zhu et al., 2017): two translators, held together by the round trip."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from stylegan_lab.images.batch import Unpaired
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.perception import Perception
from stylegan_lab.losses.terms import Terms, mean_absolute
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.adversarial import AdversarialModule
from stylegan_lab.modules.image_pool import ImagePool
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.modules.ranks import gathered, own


class CycleGAN(AdversarialModule):
    """`identity_weight` is relative to `cycle_weight`, as published: 0.5 of 10 is 5. With `content_weight` and `style_weight` a
    feature net watches too: that what is shown stays, and that it is painted as the pictures of the other domain are."""

    takes = Unpaired
    averaged = ("a_to_b", "b_to_a")
    directions = ("a2b", "b2a")

    def __init__(
        self,
        translator: Callable[[], nn.Module],
        critic: Callable[[], nn.Module],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
        features: Callable[[], Perception] | None = None,
        content_weight: float = 0.0,
        style_weight: float = 0.0,
    ) -> None:
        super().__init__(loss, optimizer, schedule, critic_rate, clip_gradients)
        at_least("model.content_weight", content_weight, 0)
        at_least("model.style_weight", style_weight, 0)
        at_least("model.cycle_weight", cycle_weight, 0)
        at_least("model.identity_weight", identity_weight, 0)
        at_least("model.pool_size", pool_size, 0)
        self.a_to_b, self.b_to_a = translator(), translator()
        self.critic_a, self.critic_b = critic(), critic()
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.content_weight, self.style_weight, self._features = content_weight, style_weight, features
        self.pool_a, self.pool_b = ImagePool(pool_size), ImagePool(pool_size)
        self.generators = self.generator_player("generators", self.a_to_b, self.b_to_a)
        self.critics = self.critic_player("critics", self.critic_a, self.critic_b)

    @cached_property
    def perception(self) -> Perception:
        assert self._features is not None
        return self._features()

    def prepare(self) -> None:
        if self.content_weight > 0 or self.style_weight > 0:
            _ = self.perception

    def training_step(self, batch: Unpaired, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        fake_a, fake_b = self.b_to_a(b), self.a_to_b(a)
        if self.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, a, b, fake_a, fake_b)
        seen_a, seen_b = self.pool_a(fake_a.detach()), self.pool_b(fake_b.detach())
        self.descend_critics(self.critics, self.critic_terms, a, b, seen_a, seen_b)

    def generator_terms(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Iterator[Terms]:
        """One round trip at a time: the gradients of both together, at little more than the memory of one."""
        yield self._round_trip("a", a, fake_b, back=self.b_to_a, critic=self.critic_b, rivals=b)
        yield self._round_trip("b", b, fake_a, back=self.a_to_b, critic=self.critic_a, rivals=a)

    def critic_terms(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Terms:
        of_a = self.contest.critic(self.critic_a, a, fake_a, self.iteration)
        of_b = self.contest.critic(self.critic_b, b, fake_b, self.iteration)
        return of_a.named("a") | of_b.named("b")

    def _round_trip(
        self, name: str, image: Tensor, there: Tensor, back: nn.Module, critic: nn.Module, rivals: Tensor
    ) -> Terms:
        """From `image` over `there` and back again. `back` also leaves an image alone that is at home already."""
        terms = self.contest.generator(critic, rivals, there)
        if self.cycle_weight > 0:
            terms |= Terms({"cycle": self.cycle_weight * mean_absolute(back(there), image)})
        if (weight := self.cycle_weight * self.identity_weight) > 0:
            terms |= Terms({"identity": weight * mean_absolute(back(image), image)})
        if self.content_weight > 0 or self.style_weight > 0:
            terms |= self._as_seen(image, there, rivals)
        return terms.named(name)

    def _as_seen(self, image: Tensor, there: Tensor, rivals: Tensor) -> Terms:
        terms, seen = Terms({}), self.perception.see(there)
        if self.content_weight > 0:
            kept = self.perception.content(seen, self.perception.remember(image))
            terms |= Terms({"content": self.content_weight * kept})
        if self.style_weight > 0:
            painted = self.perception.style(seen, self.perception.remember(rivals))
            terms |= Terms({"style": self.style_weight * painted})
        return terms

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = {"a2b": self.a_to_b, "b2a": self.b_to_a}[direction](image)
        return translated

    def sample(self, batch: Unpaired) -> list[Tensor]:
        return [batch["a"], self.a_to_b(batch["a"]), batch["b"], self.b_to_a(batch["b"])]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = gathered({"a": self.pool_a.state(), "b": self.pool_b.state()})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        pools = own(checkpoint["pools"])
        self.pool_a.restore(pools["a"])
        self.pool_b.restore(pools["b"])
