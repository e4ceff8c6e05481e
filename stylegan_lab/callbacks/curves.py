"""Curves: losses, learning rates and pace, one line of the record each time they are due."""

import time
from typing import Any

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.modules.module import Module


class Curves(L.Callback):
    """Written at once, not when Lightning would: a checkpoint of an iteration never stands without that iteration's line."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since, self._images = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Module)
        self._images += len(next(iter(batch.values()))) * trainer.world_size
        if pl_module.due:
            now = time.monotonic()
            pace = {"images_per_second": self._images / max(1e-9, now - self._since)}
            self._since, self._images = now, 0
            values = _values(pl_module) | pace
            for logger in trainer.loggers:
                logger.log_metrics(values, step=pl_module.iteration)
            trainer.callback_metrics.update({name: torch.tensor(value) for name, value in values.items()})


def _values(module: Module) -> dict[str, float]:
    named: dict[str, Tensor] = {f"loss/{name}": loss for name, loss in module.latest_losses.items()}
    for name, note in module.latest_notes.items():
        player, _, what = name.rpartition("_")
        if what in ("ahead", "strength"):
            named[f"{what}/{player}"] = note
    numbers = torch.stack([value.float() for value in named.values()]).tolist() if named else []
    rates = {f"rate/{player.name}": float(player.optimizer.param_groups[0]["lr"]) for player in module.players}
    return dict(zip(named, numbers, strict=True)) | rates
