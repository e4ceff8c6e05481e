"""pix2pix (Isola et al., 2017): a translator learns from true pairs, a critic sees each picture beside its source."""

from collections.abc import Callable

from torch import Tensor, nn

from stylegan_lab.images.batch import Pair
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.matching import feature_matching
from stylegan_lab.losses.terms import Terms, mean_absolute
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.adversarial import AdversarialModule
from stylegan_lab.modules.live import live
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.nets.verdict import Beside, Judge


class Pix2Pix(AdversarialModule):
    """`live_at_test`: dropout and batch statistics stay on when the net is used, as published; else averages are used."""

    takes = Pair
    averaged = ("translator",)

    def __init__(
        self,
        translator: Callable[[], nn.Module],
        critic: Callable[..., nn.Module],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        image_channels: int = 3,
        pixel_weight: float = 100.0,
        matching_weight: float = 0.0,
        live_at_test: bool = True,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, critic_rate, clip_gradients)
        at_least("model.pixel_weight", pixel_weight, 0)
        at_least("model.matching_weight", matching_weight, 0)
        self.translator, self.critic = translator(), critic(image_channels=2 * image_channels)
        self.pixel_weight, self.matching_weight, self.live_at_test = pixel_weight, matching_weight, live_at_test
        self.generators = self.generator_player("generators", self.translator)
        self.critics = self.critic_player("critics", self.critic)

    def training_step(self, batch: Pair, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        fake = self.translator(a)
        self.descend_critics(self.critics, self.critic_terms, a, b, fake.detach())
        if self.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, a, b, fake)

    def critic_terms(self, a: Tensor, b: Tensor, fake: Tensor) -> Terms:
        return self.contest.critic(self.beside(a), b, fake, self.iteration)

    def generator_terms(self, a: Tensor, b: Tensor, fake: Tensor) -> Terms:
        terms = self.contest.generator(self.beside(a), b, fake)
        if self.pixel_weight > 0:
            terms |= Terms({"pixel": self.pixel_weight * mean_absolute(fake, b)})
        if self.matching_weight > 0:
            terms |= Terms({"matching": self.matching_weight * feature_matching(self.beside(a), b, fake)})
        return terms

    def beside(self, a: Tensor) -> Judge:
        """The critic, which sees an image and what it was made from."""
        return Beside(self.critic, a)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = live(self.translator, image) if self.live_at_test else self.translator(image)
        return translated

    def sample(self, batch: Pair) -> list[Tensor]:
        return [batch["a"], self.translate(batch["a"]), batch["b"]]
