"""Checkpoints: the newest states of a run, and the best by a named score, from any of which a training can go on."""

import time
from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.callbacks.averaging import Averaging
from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.ranks import largest
from stylegan_lab.runs import Run


class Checkpoints(L.Callback):
    """Every `every` iterations (0: never), every `minutes` (null: never), at the end, and whenever the score `monitor`
    (see Scoring) improves. The `keep` newest stay (null: all), and the best."""

    def __init__(
        self,
        every: int = 1000,
        minutes: float | None = None,
        keep: int | None = 2,
        monitor: str | None = None,
        higher_is_better: bool = False,
    ) -> None:
        at_least("callbacks.checkpoints.every", every, 0)
        if minutes is not None:
            at_least("callbacks.checkpoints.minutes", minutes, 0.1)
        if keep is not None:
            at_least("callbacks.checkpoints.keep", keep, 1)
        self.every, self.minutes, self.keep = every, minutes, keep
        self.monitor, self.higher_is_better = monitor, higher_is_better
        self.best: float | None = None
        self._saved: int | None = None  # the iteration whose state is on the disk
        self._playing = True  # in the middle of an iteration, or not yet as the last one was left

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Module)
        self._since, self._playing = time.monotonic(), False
        self._consider(trainer, pl_module)  # scores that an interruption had put off

    def on_train_batch_start(self, *_: Any) -> None:
        self._playing = True

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        self._playing = False
        self._consider(trainer, pl_module)
        if self._is_due(pl_module):
            self.save(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Scores that were owed at the last iteration are paid, which no other iteration will say."""
        assert isinstance(pl_module, Module)
        if pl_module.iteration:
            self.save(trainer, pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """What breaks between two iterations, such as a picture that is gone, loses none of those played."""
        assert isinstance(pl_module, Module)
        if isinstance(exception, Exception) and not self._playing and pl_module.iteration and trainer.world_size == 1:
            self.save(trainer, pl_module)

    def save(self, trainer: L.Trainer, module: Module, is_best: bool = False) -> bool:
        """Write this iteration's state, once, unless it is past saving; every rank must ask. Returns whether it is kept."""
        run = Run.of(trainer)
        if trainer.is_global_zero and not (run.folder / "config.yaml").exists():
            raise Mistake(f"{run.folder} is gone; it was moved or deleted while it was being trained")
        path = run.checkpoints / f"{module.iteration:06d}.ckpt"
        if self._saved != module.iteration:
            if largest(int(bad := _not_finite(trainer, module) is not None), module.device):
                if trainer.is_global_zero:
                    what = _not_finite(trainer, module) if bad else "a weight"
                    run.tell(f"iteration {module.iteration} is not saved: {what} is not finite")
                return False
            trainer.save_checkpoint(path, weights_only=False)
            self._saved, self._since = module.iteration, time.monotonic()
        if trainer.is_global_zero:
            Manifest.of(run.checkpoints).settle(path, is_best, self.keep)
        return True

    def _consider(self, trainer: L.Trainer, module: Module) -> None:
        """Save a state whose score is the best so far."""
        scores: dict[str, float] = module.latest_scores
        if self.monitor not in scores or scores["iteration"] != module.iteration:
            return
        value, before = scores[self.monitor], self.best
        if before is None or (value > before if self.higher_is_better else value < before):
            self.best, self._saved = value, None
            if not self.save(trainer, module, is_best=True):
                self.best = before

    def _is_due(self, module: Module) -> bool:
        counted = self.every > 0 and module.iteration % self.every == 0
        late = self.minutes is not None and time.monotonic() - self._since > 60 * self.minutes
        return counted or module.iteration == module.budget or bool(self.minutes and largest(int(late), module.device))

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


def checkpoints_of(trainer: L.Trainer) -> Checkpoints | None:
    return next((callback for callback in trainer.callbacks if isinstance(callback, Checkpoints)), None)  # type: ignore[attr-defined]


def _not_finite(trainer: L.Trainer, module: Module) -> str | None:
    """The name of a weight or average that is NaN or infinite."""
    named = [(name, value) for name, value in _tensors(trainer, module) if value.is_floating_point()]
    finite = torch.stack([value.isfinite().all() for _, value in named]).tolist()
    return next((name for (name, _), good in zip(named, finite, strict=True) if not good), None)


def _tensors(trainer: L.Trainer, module: Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.state_dict().items()
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Averaging):
            for net, average in callback.averages.items():
                yield from ((f"the average of {net}.{name}", value) for name, value in average.items())
