"""The budget: the number of iterations after which a training stops."""

from typing import Any

import lightning as L

from stylegan_lab.models.base import BaseModel


class StopAtMaxIterations(L.Callback):
    """Sets the module's budget, and stops the training when it is reached."""

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def setup(self, trainer: L.Trainer, pl_module: BaseModel, stage: str) -> None:
        pl_module.max_iterations = self.iterations

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        if pl_module.iteration >= self.iterations:
            trainer.should_stop = True

    on_train_start = on_train_batch_end  # type: ignore[assignment]
