"""The budget: how long a training lasts, in the one unit everything else follows, iterations."""

from typing import Any

import lightning as L

from stylegan_lab.modules.module import Module


class Budget(L.Callback):
    """Tells the module its budget, and stops when it is spent."""

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, Module)
        pl_module.budget = self.iterations

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._look(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self._look(trainer, pl_module)

    def _look(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Module)
        if module.iteration >= self.iterations:
            trainer.should_stop = True
