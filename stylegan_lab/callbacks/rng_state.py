"""Saves the random state in checkpoints, so that a resumed training draws the same random numbers as an uninterrupted one."""

import os
import random
from typing import Any

import lightning as L
import numpy as np
import torch

from stylegan_lab.distributed import gather_to_rank_zero, own_value, rank


class RNGState(L.Callback):
    """Saves and restores the states of the random number generators. Each rank has its own states."""

    _pending: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["rng_state"] = gather_to_rank_zero(get_rng_state(pl_module.device))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        states = checkpoint["rng_state"]
        self._pending = own_value(states) if rank() < len(states) else None  # there may be more ranks now

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the state only now, because the setup of the training draws random numbers too."""
        state, self._pending = self._pending, None
        if state is not None:
            set_rng_state(state, pl_module.device)
        elif rank() > 0:
            seed = int(os.environ.get("PL_GLOBAL_SEED", 0))  # set by seed_everything
            L.seed_everything((seed + 1_000_003 * rank()) % 2**32, verbose=False)


def get_rng_state(device: torch.device) -> dict[str, Any]:
    """Return the random state as plain values and tensors, which `torch.load(weights_only=True)` can load."""
    version, numbers, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "device": None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(),
    }


def set_rng_state(state: dict[str, Any], device: torch.device) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["device"] is not None and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"])
