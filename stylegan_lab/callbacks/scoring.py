"""Scoring: the translation measured on the validation split every so often, with the weights that will be used."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.callbacks.interruption import asked_to_leave
from stylegan_lab.callbacks.watching import looking
from stylegan_lab.evaluation.metrics import METRICS, Metric
from stylegan_lab.evaluation.scores import Domains, gather, score, translate_all
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.ranks import gathered, largest, rank, ranks, said


class PutOff(Exception):
    """Someone asked to leave; the scores are taken when the training goes on."""


class Scoring(L.Callback):
    """Ranks share the work. Logs `val/<metric>` every `every` iterations and at the end; 0: never."""

    def __init__(self, every: int = 5000, metrics: Mapping[str, Metric] | None = None) -> None:
        at_least("callbacks.scoring.every", every, 0)
        self.every = every
        self.metrics = METRICS | dict(metrics or {})
        self._domains: Domains | None = None
        self._owed = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Module)
        if self._owed:
            self._score(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        if self.every and (pl_module.iteration % self.every == 0 or pl_module.iteration == pl_module.budget):
            self._score(trainer, pl_module)

    def _score(self, trainer: L.Trainer, module: Module) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if self._domains is None:
            self._domains = gather(data.batches(data.held_out("val")), data.true_pairs)

        def translate(images: Tensor) -> Tensor:
            if asked_to_leave(trainer):
                raise PutOff
            return module.translate(images)

        batches = self._domains.a.split(data.batch_size)  # those one process would translate, whoever does
        translated = None
        with suppress(PutOff), looking(trainer, module):
            mine = batches[rank() :: ranks()]
            translated = [translate_all(translate, batch, data.batch_size, module.device) for batch in mine]
        self._owed = bool(largest(int(translated is None), module.device))
        if translated is None or self._owed:
            return
        everyone = gathered(translated)
        scores = said(self._measure(everyone, len(batches)) if trainer.is_global_zero else None)
        module.latest_scores = {"iteration": module.iteration, **scores}
        for logger in trainer.loggers:
            logger.log_metrics(scores, step=module.iteration)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in scores.items()})

    def _measure(self, everyone: Sequence[Sequence[Tensor]], batches: int) -> dict[str, float]:
        """What all ranks translated together, each picture once."""
        assert self._domains is not None
        translated = torch.cat([everyone[batch % len(everyone)][batch // len(everyone)] for batch in range(batches)])
        return {f"val/{name}": value for name, value in score(translated, self._domains, self.metrics).items()}

    def state_dict(self) -> dict[str, Any]:
        return {"owed": self._owed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._owed = state_dict["owed"]
