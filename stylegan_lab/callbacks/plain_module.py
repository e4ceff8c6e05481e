"""Trains a plain LightningModule: counts its batches and gives it the attributes that the other callbacks expect of a BaseModel."""

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

ATTRIBUTES = ("iteration", "max_iterations", "latest_scores", "latest_losses", "active_warnings")  # set on the module


class PlainModule(L.Callback):
    """Gives a plain LightningModule the attributes that other callbacks read, so it has to be the first callback. `config` is saved
    in every checkpoint.

    Lightning writes the metrics that the module logs with `self.log`, with the iteration as the step.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def setup(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        pl_module.iteration, pl_module.max_iterations = 0, None
        pl_module.latest_scores, pl_module.latest_losses, pl_module.active_warnings = {}, {}, set()

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        pl_module.iteration += 1
        pl_module.log("step", float(pl_module.iteration))  # the name by which Lightning finds the step of a row

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        """Collect the losses that NaNGuard checks: the loss that the training step returns, and logged metrics with "loss" in their
        names. If there are none, NaNGuard checks the norm of the weights."""
        losses = {name: value for name, value in trainer.callback_metrics.items() if "loss" in name.lower()}
        returned = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(returned, Tensor) and returned.numel() == 1:
            losses["returned"] = returned.detach().squeeze()
        pl_module.latest_losses = losses or {"weights": _total_norm(pl_module)}

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["iteration"], checkpoint["config"] = pl_module.iteration, self.config

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        pl_module.iteration = checkpoint["iteration"]


def _total_norm(module: L.LightningModule) -> Tensor:
    """A number that is NaN or infinite if a weight is."""
    return torch.stack(torch._foreach_norm([each.detach() for each in module.parameters()])).sum()
