"""Chance: the state of every random number generator, kept in checkpoints so that a resumed run draws what it would have drawn."""

import random
from typing import Any

import lightning as L
import numpy as np
import torch

from stylegan_lab.modules.ranks import gathered, own, rank


class Chance(L.Callback):
    """Each rank draws from streams of its own, and finds them again."""

    _pending: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["chance"] = gathered(state_of_chance(pl_module.device))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        states = checkpoint.get("chance", [])
        self._pending = own(states) if rank() < len(states) else None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Here, after everything that draws while a training is set up."""
        state, self._pending = self._pending, None
        if state is not None:
            restore_chance(state, pl_module.device)
        elif rank() > 0:
            seed = getattr(pl_module, "config", {}).get("seed", 0)
            L.seed_everything((seed + 1_000_003 * rank()) % 2**32, verbose=False)


def state_of_chance(device: torch.device) -> dict[str, Any]:
    """Plain values and tensors only, which a safe load accepts."""
    version, numbers, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "device": None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(),
    }


def restore_chance(state: dict[str, Any], device: torch.device) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["device"] is not None and device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"])
