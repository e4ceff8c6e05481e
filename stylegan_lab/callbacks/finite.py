"""Finite: losses that stay NaN or infinite end a training, which would only burn time, or send it back."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.ranks import largest

LOOK = 10  # iterations between looks at a GPU, each of which waits for it


class Diverged(Exception):
    """What is not finite, and since when."""


class Finite(L.Callback):
    """After `patience` such iterations in a row: stop; or roll back to the last good checkpoint and go on at `rate` times
    the learning rate, at most `rollbacks` times."""

    def __init__(
        self,
        patience: int = 3,
        then: Literal["stop", "rollback"] = "stop",
        rate: float = 0.5,
        rollbacks: int = 3,
    ) -> None:
        at_least("callbacks.finite.patience", patience, 1)
        at_least("callbacks.finite.rollbacks", rollbacks, 0)
        if not 0 < rate <= 1:
            raise Mistake(
                f"callbacks.finite.rate={rate} is what the learning rate is multiplied by: above 0, at most 1"
            )
        self.patience, self.then, self.rate, self.rollbacks = patience, then, rate, rollbacks
        self._in_a_row: int | Tensor = 0
        self._seen: deque[tuple[int, dict[str, Tensor]]] = deque(maxlen=patience + LOOK)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        losses = pl_module.latest_losses
        if losses:
            bad = ~torch.stack([loss.float() for loss in losses.values()]).isfinite().all()
            self._in_a_row = (self._in_a_row + 1) * bad
        self._seen.append((pl_module.iteration, losses))
        if pl_module.device.type == "cpu" or pl_module.iteration % LOOK == 0:
            count = largest(int(self._in_a_row), pl_module.device)
            if count >= self.patience:
                raise Diverged(self._what_is_bad(since=pl_module.iteration - count + 1))

    def _what_is_bad(self, since: int) -> str:
        """The losses that were not finite first; later all are."""
        first = next((losses for iteration, losses in self._seen if iteration >= since), {})
        names = [f"loss/{name}" for name, loss in first.items() if not loss.isfinite()] or ["a loss"]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{', '.join(names[:3])}{more} not finite since iteration {since}"


def finite_of(callbacks: Mapping[str, Any]) -> Finite:
    return next(callback for callback in callbacks.values() if isinstance(callback, Finite))
