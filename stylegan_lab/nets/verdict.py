"""What a critic says of images, and who may say it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Verdict(NamedTuple):
    """Logit maps, high for real; several for critics that look at several scales."""

    logits: tuple[Tensor, ...]
    classes: Tensor | None = None
    features: tuple[Tensor, ...] = ()


Judge = Callable[[Tensor], Verdict]


class Beside:
    """A critic that sees each image beside what it was made from."""

    def __init__(self, critic: Judge, given: Tensor) -> None:
        self.critic, self.given = critic, given

    def __call__(self, image: Tensor) -> Verdict:
        return self.critic(torch.cat([self.given, image], dim=1))

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Beside":
        return Beside(self.critic, change(self.given))
