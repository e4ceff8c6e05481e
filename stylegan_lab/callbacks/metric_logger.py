"""Logs losses, learning rates and throughput every `log_every_n_steps` iterations."""

import time
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.images.batch import num_samples
from stylegan_lab.models.base import BaseModel


class MetricLogger(L.Callback):
    """Logs a model's metrics with its iteration as the step, before other callbacks save or stop the training.

    Without this callback, the model logs the metrics with `log_dict`, and Lightning writes them after all callbacks. If a callback
    saves or stops at an iteration, metrics.jsonl would then have no line for it.
    """

    needs: ClassVar = ("step_metrics",)  # of the module; other modules log through Lightning

    def on_train_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        self._logged_at, self._images = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: BaseModel, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._images += num_samples(batch) * trainer.world_size
        if not pl_module.should_log:
            return
        now = time.monotonic()
        throughput = {"images_per_second": self._images / max(1e-9, now - self._logged_at)}
        self._logged_at, self._images = now, 0
        metrics = _to_floats(pl_module.step_metrics()) | throughput
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=pl_module.iteration)
        pl_module.log_dict(metrics, logger=False)  # for other callbacks
        pl_module.metrics_are_logged = True


def _to_floats(metrics: dict[str, Tensor | float]) -> dict[str, float]:
    """Read all tensors at once, since each transfer waits for the device."""
    tensors = {name: value for name, value in metrics.items() if isinstance(value, Tensor)}
    numbers = torch.stack([value.float() for value in tensors.values()]).tolist() if tensors else []
    read = dict(zip(tensors, numbers, strict=True))
    return {name: read[name] if name in read else float(value) for name, value in metrics.items()}
