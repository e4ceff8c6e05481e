"""Chance: the state of every random number generator, kept in checkpoints so that a resumed run draws what it would have drawn."""

import random
from typing import Any

import lightning as L
import numpy as np
import torch


class Chance(L.Callback):
    _pending: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors only, which a safe load accepts."""
        version, numbers, gauss = random.getstate()
        _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
        return {
            "python": [version, list(numbers), gauss],
            "numpy": [
                torch.from_numpy(np.asarray(keys).astype(np.int64)),
                int(position),
                int(has_gauss),
                float(cached),
            ],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._pending = state_dict

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Here, after everything that draws while a training is set up."""
        state, self._pending = self._pending, None
        if state is None:
            return
        version, numbers, gauss = state["python"]
        random.setstate((version, tuple(numbers), gauss))
        keys, position, has_gauss, cached = state["numpy"]
        np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
        torch.set_rng_state(state["torch"])
        if state["cuda"]:
            torch.cuda.set_rng_state_all(state["cuda"])
