"""Adaptive augmentation (ADA; Karras et al., 2020): as strong as it takes to keep the critic from knowing its reals by heart."""

from torch import Tensor

from stylegan_lab.losses.seen import Change
from stylegan_lab.losses.seen.pipe import Pipe
from stylegan_lab.mistake import at_least


class Adaptive:
    """The probability of each change rises while the critic is surer of reals than `target` (the mean sign of its verdicts), and
    falls while it is not: a step every `every` critic turns, from 0 to 1 in `images`."""

    def __init__(
        self, pipe: Pipe, target: float = 0.6, every: int = 4, images: int = 500_000, strength: float = 0.0
    ) -> None:
        at_least("critics_see.every", every, 1)
        at_least("critics_see.images", images, 1)
        at_least("critics_see.strength", strength, 0)
        self.pipe, self.target, self.every, self.images = pipe, target, every, images
        self.strength = float(strength)
        self._sure, self._turns, self._seen = 0.0, 0, 0

    def draw(self, images: Tensor) -> Change:
        return self.pipe.draw(images, self.strength)

    def notice(self, sure: float, images: int) -> None:
        self._sure, self._turns, self._seen = self._sure + sure, self._turns + 1, self._seen + images
        if self._turns == self.every:
            mean = self._sure / self.every
            step = self._seen / self.images * ((mean > self.target) - (mean < self.target))
            self.strength = max(0.0, self.strength + step)
            self._sure, self._turns, self._seen = 0.0, 0, 0

    def state_dict(self) -> dict[str, float]:
        return {"strength": self.strength, "sure": self._sure, "turns": self._turns, "seen": self._seen}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.strength, self._sure = state["strength"], state["sure"]
        self._turns, self._seen = int(state["turns"]), int(state["seen"])
