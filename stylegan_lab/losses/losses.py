"""Named losses of one optimizer step, already weighted, and statistics that are only logged."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from stylegan_lab.precision import to_float32


class Output(NamedTuple):
    """Images that a generator made, the images they were made from, and real images of the target domain."""

    fake: Tensor
    input: Tensor | None = None
    real: Tensor | None = None

    def detached(self) -> "Output":
        image, real = (None if each is None else each.detach() for each in (self.input, self.real))
        return Output(self.fake.detach(), image, real)


@dataclass(frozen=True)
class Losses:
    """Losses by name, already weighted, and detached statistics such as logits and gradient norms.

    `outputs` holds the generated images on which `model.extra_losses` are computed, under the name `fake`, or `a_fake` and
    `b_fake`.
    """

    losses: dict[str, Tensor]
    stats: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)

    def total(self) -> Tensor:
        return torch.stack(list(self.losses.values())).sum()

    def detached(self) -> "Losses":
        outputs = {name: output.detached() for name, output in self.outputs.items()}
        return Losses({name: loss.detach() for name, loss in self.losses.items()}, self.stats, outputs)

    def with_prefix(self, prefix: str) -> "Losses":
        """Return the same losses with a prefix on their names, so that the names of two discriminators do not collide."""
        return Losses(
            {f"{prefix}_{name}": loss for name, loss in self.losses.items()},
            {f"{prefix}_{name}": stat for name, stat in self.stats.items()},
            {f"{prefix}_{name}": output for name, output in self.outputs.items()},
        )

    def scaled(self, weight: float) -> "Losses":
        return Losses({name: weight * loss for name, loss in self.losses.items()}, self.stats, self.outputs)

    def __or__(self, other: "Losses") -> "Losses":
        """Combine two sets of losses. A name that is in both is an error, since one of the two losses would be lost."""
        if shared := self.losses.keys() & other.losses.keys():
            raise ValueError(f"two losses of the same name: {', '.join(sorted(shared))}")
        merged = zip((self.losses, self.stats, self.outputs), (other.losses, other.stats, other.outputs), strict=True)
        return Losses(*({**mine, **theirs} for mine, theirs in merged))  # type: ignore[dict-item]


def l1_loss(x: Tensor, y: Tensor) -> Tensor:
    """Return the L1 loss as in the papers: the mean of the absolute differences over all values."""
    return (to_float32(x) - to_float32(y)).abs().mean()
