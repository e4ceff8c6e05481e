"""Stops a training after its budget, which is a number of iterations."""

from typing import Any

import lightning as L

from stylegan_lab.models.base import BaseModel


class StopAtMaxIterations(L.Callback):
    """Sets `max_iterations` of the module to the budget, and stops the training at that iteration."""

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def setup(self, trainer: L.Trainer, pl_module: BaseModel, stage: str) -> None:
        pl_module.max_iterations = self.iterations

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        if pl_module.iteration >= self.iterations:
            trainer.should_stop = True

    def on_train_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        self.on_train_batch_end(trainer, pl_module)
        epochs = trainer.fit_loop.epoch_progress.total
        if epochs.ready == epochs.completed:  # a checkpoint of an epoch's end: the training continues with a new epoch
            trainer.fit_loop.reset_restart_stage()
