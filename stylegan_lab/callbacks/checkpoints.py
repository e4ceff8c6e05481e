"""Checkpoints: the newest state under `last`, and the best by a named score under `best`, each written whole or not at all."""

from typing import Any

import lightning as L

from stylegan_lab.modules.module import Module
from stylegan_lab.runs import Run


class Checkpoints(L.Callback):
    """`last` every `every` iterations and at the end; `best` whenever the score `monitor` (see Scoring) improves."""

    def __init__(self, every: int = 1000, monitor: str | None = None, higher_is_better: bool = False) -> None:
        self.every, self.monitor, self.higher_is_better = every, monitor, higher_is_better
        self.best: float | None = None

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        checkpoints = Run.of(trainer).checkpoints
        if self._improved(trainer, pl_module):
            trainer.save_checkpoint(checkpoints / "best.ckpt", weights_only=False)
        if pl_module.iteration % self.every == 0 or pl_module.iteration == pl_module.budget:
            trainer.save_checkpoint(checkpoints / "last.ckpt", weights_only=False)

    def _improved(self, trainer: L.Trainer, module: Module) -> bool:
        scores: dict[str, float] = module.latest_scores
        if self.monitor not in scores or scores["iteration"] != module.iteration:
            return False
        value = scores[self.monitor]
        better = self.best is None or (value > self.best if self.higher_is_better else value < self.best)
        self.best = value if better else self.best
        return better

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]
