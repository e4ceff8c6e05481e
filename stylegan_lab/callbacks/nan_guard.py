"""NaNGuard: stops a training whose losses stay NaN or infinite, or rolls it back to the last good checkpoint. In float16, it also
stops a training whose gradients always overflow: all optimizer steps are then skipped, although the losses are finite."""

from collections import deque
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.distributed import max_over_ranks, world_size
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.models.base import BaseModel

CHECK_EVERY = 10  # iterations between checks that wait for a GPU or for other ranks
MIN_LOSS_SCALE = 1.0  # it starts at 65536


class DivergedError(Exception):
    """The training has NaN or infinite losses, or gradients that overflow. The message says which losses, and since which
    iteration."""


class NaNGuard(L.Callback):
    """Raises `DivergedError` after `patience` iterations in a row with a NaN or infinite loss, or if the loss scale of float16
    falls below 1."""

    def __init__(
        self,
        patience: int = 3,
        on_nan: Literal["stop", "rollback"] = "stop",
        lr_mult: float = 0.5,
        max_rollbacks: int = 3,
    ) -> None:
        check_at_least("callbacks.nan_guard.patience", patience, 1)
        check_at_least("callbacks.nan_guard.max_rollbacks", max_rollbacks, 0)
        if not 0 < lr_mult <= 1:
            raise UserError(
                "config.out_of_range",
                f"callbacks.nan_guard.lr_mult={lr_mult} multiplies the learning rate; give a value above 0 and at most 1",
            )
        self.patience, self.on_nan, self.lr_mult, self.max_rollbacks = patience, on_nan, lr_mult, max_rollbacks
        self._consecutive: int | Tensor = 0
        self._recent: deque[tuple[int, dict[str, Tensor]]] = deque(maxlen=patience + CHECK_EVERY)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        losses = pl_module.latest_losses
        if losses:
            bad = ~torch.stack([loss.float() for loss in losses.values()]).isfinite().all()
            self._consecutive = (self._consecutive + 1) * bad
        self._recent.append((pl_module.iteration, losses))
        costs_nothing = pl_module.device.type == "cpu" and world_size() == 1
        if costs_nothing or pl_module.iteration % CHECK_EVERY == 0:
            count = max_over_ranks(int(self._consecutive), pl_module.device)
            if count >= self.patience:
                raise DivergedError(self._describe(since=pl_module.iteration - count + 1))
        if pl_module.iteration % CHECK_EVERY == 0:
            _check_loss_scale(trainer, pl_module.iteration)

    def _describe(self, since: int) -> str:
        """Describe the divergence by the losses that were not finite in its first iteration. In later iterations, all losses
        are NaN."""
        first = next((losses for iteration, losses in self._recent if iteration >= since), {})
        names = [f"loss/{name}" for name, loss in first.items() if not loss.isfinite()] or ["a loss"]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{', '.join(names[:3])}{more} not finite since iteration {since}"


def _check_loss_scale(trainer: L.Trainer, iteration: int) -> None:
    """The scale is halved whenever a gradient overflows. The ranks have averaged their gradients, so they have the same one."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is not None and (scale := scaler.get_scale()) < MIN_LOSS_SCALE:
        raise DivergedError(
            f"precision=16: gradients overflow even with a loss scale of {scale:g}, so optimizer steps are skipped (iteration "
            f"{iteration}); use precision=bf16 or precision=32"
        )
