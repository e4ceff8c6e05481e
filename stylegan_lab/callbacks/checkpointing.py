"""Checkpointing: saves the latest states of a run, and the state with the best validation score.

A training can resume from any of these checkpoints.
"""

import time
from typing import Any

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.callbacks.ema import EMA, find_callback
from stylegan_lab.distributed import max_over_ranks
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.run import Run


class Checkpointing(L.Callback):
    """Saves a checkpoint at regular intervals, at the end, and whenever the monitored score improves."""

    def __init__(
        self,
        every: int = 1000,
        minutes: float | None = None,
        keep: int | None = 2,
        monitor: str | None = None,
        higher_is_better: bool = False,
    ) -> None:
        check_at_least("callbacks.checkpointing.every", every, 0)
        check_at_least("callbacks.checkpointing.minutes", minutes, 0.1)
        check_at_least("callbacks.checkpointing.keep", keep, 1)
        self.every, self.minutes, self.keep = every, minutes, keep
        self.monitor, self.higher_is_better = monitor, higher_is_better
        self.best: float | None = None
        self._saved_iteration: int | None = None
        self._in_step = True  # between the start and the end of an iteration, or before the training starts

    def on_train_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        self._saved_at, self._in_step = time.monotonic(), False
        self._save_if_best(trainer, pl_module)  # a validation that was pending has just been run

    def on_train_batch_start(self, *_: Any) -> None:
        self._in_step = True

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        self._in_step = False
        self._save_if_best(trainer, pl_module)
        if self._is_due(pl_module):
            self.save(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        """Save the last iteration, unless this session has saved it. A resumed session that only runs a postponed validation needs
        this, because its checkpoint still says that the validation is pending."""
        if pl_module.iteration:
            self.save(trainer, pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: BaseModel, exception: BaseException) -> None:
        """Save after an error between two iterations, such as an unreadable image, so that no iteration is lost."""
        if isinstance(exception, Exception) and not self._in_step and pl_module.iteration and trainer.world_size == 1:
            self.save(trainer, pl_module)

    def save(self, trainer: L.Trainer, module: BaseModel, is_best: bool = False) -> bool:
        """Save this iteration, unless it is already saved or a weight is NaN or infinite. Returns whether the iteration is saved.
        All ranks must call this method."""
        run = Run.from_trainer(trainer)
        if trainer.is_global_zero and not (run.folder / "config.yaml").exists():
            raise UserError(
                "run.folder_missing",
                f"{run.folder} is missing: it was moved or deleted during the training; restore the folder and resume the "
                "run, or start a new one",
            )
        path = run.checkpoints / f"{module.iteration:06d}.ckpt"
        if self._saved_iteration != module.iteration:
            if max_over_ranks(int(bad := _first_non_finite(trainer, module) is not None), module.device):
                if trainer.is_global_zero:
                    what = _first_non_finite(trainer, module) if bad else "a weight"
                    run.log(f"iteration {module.iteration} is not saved: {what} is not finite")
                return False
            trainer.save_checkpoint(path, weights_only=False)
            self._saved_iteration, self._saved_at = module.iteration, time.monotonic()
        if trainer.is_global_zero:
            CheckpointIndex.read(run.checkpoints).link_and_prune(path, is_best, self.keep)
        return True

    def _save_if_best(self, trainer: L.Trainer, module: BaseModel) -> None:
        scores: dict[str, float] = module.latest_scores
        if self.monitor not in scores or scores["iteration"] != module.iteration:
            return
        value, previous = scores[self.monitor], self.best
        if previous is None or (value > previous if self.higher_is_better else value < previous):
            self.best, self._saved_iteration = value, None
            if not self.save(trainer, module, is_best=True):
                self.best = previous

    def _is_due(self, module: BaseModel) -> bool:
        if (self.every and module.iteration % self.every == 0) or module.iteration == module.max_iterations:
            return True
        late = self.minutes is not None and time.monotonic() - self._saved_at > 60 * self.minutes
        return self.minutes is not None and bool(max_over_ranks(int(late), module.device))

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


def _first_non_finite(trainer: L.Trainer, module: BaseModel) -> str | None:
    """Return the name of a weight or EMA weight that is NaN or infinite."""
    named: dict[str, Tensor] = dict(module.state_dict())
    for net, average in ema.averages.items() if (ema := find_callback(trainer, EMA)) else ():
        named |= {f"the EMA of {net}.{name}": value for name, value in average.items()}
    named = {name: value for name, value in named.items() if value.is_floating_point()}
    finite = torch.stack([value.isfinite().all() for value in named.values()]).tolist()
    return next((name for name, good in zip(named, finite, strict=True) if not good), None)
