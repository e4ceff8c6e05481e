"""What a critic says of images, and who may say it."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Verdict(NamedTuple):
    """Logit maps, high for real; several for critics that look at several scales."""

    logits: tuple[Tensor, ...]
    classes: Tensor | None = None
    features: tuple[Tensor, ...] = ()


Judge = Callable[[Tensor], Verdict]
