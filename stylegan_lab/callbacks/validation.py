"""Validation: scores the model on the validation split at regular intervals, with the EMA weights if there are any."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.callbacks.ema import EMA, evaluation_mode, find_callback
from stylegan_lab.callbacks.preemption import stop_requested
from stylegan_lab.distributed import broadcast_from_rank_zero, gather_to_rank_zero, max_over_ranks, rank, world_size
from stylegan_lab.errors import check_at_least
from stylegan_lab.evaluation.classifier_metrics import ClassifierScore, missing_reasons, present
from stylegan_lab.evaluation.evaluator import Evaluator, compute_scores, evaluators, image_counts
from stylegan_lab.evaluation.feature_extractors import MetricFeatures
from stylegan_lab.evaluation.metrics import Metric, MetricEntry, select_metrics
from stylegan_lab.images.value_range import unit_to_bytes
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.run import Run

Predictions = tuple[Tensor, list[Tensor]]  # the images of a batch as uint8, and their features by each extractor


class ValidationPostponed(Exception):
    """Raised to leave a validation because a stop of the training was requested. The validation is run when the training
    resumes."""


class Validation(L.Callback):
    """Logs the scores `val/<metric>` every `every` iterations and at the end. Each rank predicts a part of the inputs."""

    needs: ClassVar = ("translate", "directions")  # of the module

    def __init__(
        self,
        every: int = 5000,
        metrics: Mapping[str, MetricEntry] | None = None,
        num_images: int | None = None,
        classifier_metrics: bool = False,
    ) -> None:
        check_at_least("callbacks.validation.every", every, 0)
        check_at_least("callbacks.validation.num_images", num_images, 2)
        self.every, self.num_images, self.classifier_metrics = every, num_images, classifier_metrics
        self.metrics = select_metrics(metrics or {})
        self._evaluator: Evaluator | None = None
        self._classifier_scores: Mapping[str, ClassifierScore] = {}  # of the latest validation
        self._pending = False

    def on_train_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        if self._pending:
            self._validate(trainer, pl_module)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        if self.every and (pl_module.iteration % self.every == 0 or pl_module.iteration == pl_module.max_iterations):
            self._validate(trainer, pl_module)

    def _validate(self, trainer: L.Trainer, module: BaseModel) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if self._evaluator is None:
            self._evaluator = next(iter(evaluators(module, data, "val", self.num_images).values()))
        batches = self._evaluator.inputs(data.batch_size)  # the same batches for any number of ranks
        predictions = None
        with suppress(ValidationPostponed), evaluation_mode(trainer, module):
            predictions = [
                self._predict(self._evaluator, batch, trainer, module) for batch in batches[rank() :: world_size()]
            ]
        self._pending = bool(max_over_ranks(int(predictions is None), module.device))
        if predictions is None or self._pending:
            return
        by_rank = gather_to_rank_zero(predictions)
        scores = broadcast_from_rank_zero(
            self._score(self._evaluator, by_rank, len(batches)) if trainer.is_global_zero else None
        )
        if trainer.is_global_zero:
            Run.from_trainer(trainer).record_protocol(self._protocol(self._evaluator, trainer))
        module.latest_scores = {"iteration": module.iteration, **scores}
        for logger in trainer.loggers:
            logger.log_metrics(scores, step=module.iteration)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in scores.items()})

    @property
    def _extractors(self) -> list[MetricFeatures]:
        """The feature extractors of the metrics that can be computed, each once."""
        metrics = self._computed_metrics.values()
        return list({id(metric.features): metric.features for metric in metrics if metric.features}.values())

    @property
    def _computed_metrics(self) -> dict[str, Metric]:
        assert self._evaluator is not None
        available = self._evaluator.reference_sets
        return {name: metric for name, metric in self.metrics.items() if metric.reference in available}

    def _predict(self, evaluator: Evaluator, batch: Tensor, trainer: L.Trainer, module: BaseModel) -> Predictions:
        if stop_requested(trainer):
            raise ValidationPostponed
        images = evaluator.predict(batch, module)
        return unit_to_bytes(images), [extractor.vectors(images) for extractor in self._extractors]

    def _score(
        self, evaluator: Evaluator, by_rank: Sequence[Sequence[Predictions]], num_batches: int
    ) -> dict[str, float]:
        """Score the predictions of all ranks, each batch once."""
        in_order = [by_rank[index % len(by_rank)][index // len(by_rank)] for index in range(num_batches)]
        images = torch.cat([images for images, _ in in_order]).float() / 255  # what they were before, bit for bit
        for number, extractor in enumerate(self._extractors):
            extractor.add(images, torch.cat([vectors[number] for _, vectors in in_order]))
        scores = compute_scores(images, evaluator.reference_sets, self.metrics)
        if self.classifier_metrics:
            self._classifier_scores = evaluator.classifier_scores(images)
            scores |= {name: score.value for name, score in present(self._classifier_scores).items()}
        return {f"val/{name}": value for name, value in scores.items()}

    def _protocol(self, evaluator: Evaluator, trainer: L.Trainer) -> dict[str, Any]:
        """Return what has to be recorded with every validation score."""
        computed: dict[str, Metric | ClassifierScore] = {**self._computed_metrics, **self._classifier_scores}
        return {
            "split": "val",
            "ema": find_callback(trainer, EMA) is not None,
            "counts": image_counts(evaluator),
            "better": {f"val/{name}": each.direction for name, each in computed.items()},
            "protocol": {f"val/{name}": each.protocol for name, each in computed.items()},
            "missing": {f"val/{name}": why for name, why in missing_reasons(self._classifier_scores).items()},
        }

    def state_dict(self) -> dict[str, Any]:
        return {"pending": self._pending}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._pending = state_dict["pending"]


def has_pending_validation(callbacks: Iterable[L.Callback], checkpoint: Mapping[str, Any]) -> bool:
    """Return whether a training that resumes from this checkpoint, with these callbacks, has to run a postponed validation
    first."""
    pending = checkpoint.get("callbacks", {}).get(Validation.__name__, {}).get("pending")
    return bool(pending) and any(isinstance(each, Validation) for each in callbacks)
