"""Rates: each player's learning rate, and the images played per second, logged when losses are."""

import time
from typing import Any

import lightning as L
import torch

from stylegan_lab.modules.module import Module


class Rates(L.Callback):
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since, self._images = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Module)
        self._images += len(next(iter(batch.values()))) * trainer.world_size
        if pl_module.due:
            now = time.monotonic()
            rates = {f"rate/{player.name}": player.optimizer.param_groups[0]["lr"] for player in pl_module.players}
            rates["images_per_second"] = self._images / max(1e-9, now - self._since)
            pl_module.log_dict({name: torch.tensor(float(value)) for name, value in rates.items()}, batch_size=1)
            self._since, self._images = now, 0
