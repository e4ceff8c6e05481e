"""What critics see: pictures as they are, or changed by chance, reals and fakes alike, so that few cannot be learnt by heart."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

Change = Callable[[Tensor], Tensor]


class Seen(Protocol):
    """`draw` gives one change for each picture of a batch, to be laid on whatever belongs together."""

    def draw(self, images: Tensor) -> Change: ...


@runtime_checkable
class Adapting(Seen, Protocol):
    """Sees how sure of reals the critic is, in -1 to 1, after so many pictures over all ranks."""

    strength: float

    def notice(self, sure: float, images: int) -> None: ...

    def state_dict(self) -> dict[str, float]: ...

    def load_state_dict(self, state: dict[str, float]) -> None: ...


class Plainly:
    """As they are."""

    def draw(self, images: Tensor) -> Change:
        return lambda image: image
