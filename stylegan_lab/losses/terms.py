"""Terms: the named, already weighted losses of one turn, and notes that are only to be read."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Terms:
    losses: dict[str, Tensor]
    notes: dict[str, Tensor] = field(default_factory=dict)  # detached: logits, gradient norms

    def total(self) -> Tensor:
        return torch.stack(list(self.losses.values())).sum()

    def detached(self) -> "Terms":
        return Terms({name: loss.detach() for name, loss in self.losses.items()}, self.notes)

    def named(self, prefix: str) -> "Terms":
        """The same terms under longer names, so that two critics' do not collide."""
        return Terms(
            {f"{prefix}_{name}": loss for name, loss in self.losses.items()},
            {f"{prefix}_{name}": note for name, note in self.notes.items()},
        )

    def weighed(self, weight: float) -> "Terms":
        return Terms({name: weight * loss for name, loss in self.losses.items()}, self.notes)

    def __or__(self, other: "Terms") -> "Terms":
        """Both; a name in both would silently lose one, so it is refused."""
        if shared := self.losses.keys() & other.losses.keys():
            raise ValueError(f"two terms of the same name: {', '.join(sorted(shared))}")
        return Terms({**self.losses, **other.losses}, {**self.notes, **other.notes})


def precise(x: Tensor) -> Tensor:
    """Half precisions to float32, in which losses are taken; float64 stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def mean_absolute(x: Tensor, y: Tensor) -> Tensor:
    """L1 as the papers write it: the mean over all values."""
    return (precise(x) - precise(y)).abs().mean()
