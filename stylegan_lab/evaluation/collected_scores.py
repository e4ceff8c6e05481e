"""Scores of held-out batches that are passed in one at a time, as in Lightning's validation and test loops."""

from collections.abc import Mapping

import torch
from torch import Tensor

from stylegan_lab.evaluation.evaluator import TranslationImages, compute_scores
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.images.value_range import to_unit


class CollectedImages:
    """Collects batches and the images that a model makes of them. If `paired`, `b` of a batch is the true translation of `a`."""

    def __init__(self, paired: bool) -> None:
        self._paired = paired
        self._fakes: list[Tensor] = []
        self._batches: dict[str, list[Tensor]] = {}

    def add(self, batch: Mapping[str, Tensor], fake: Tensor) -> None:
        self._fakes.append(to_unit(fake).cpu())
        for name in {"a", "b", "image"} & batch.keys():
            self._batches.setdefault(name, []).append(to_unit(batch[name]).cpu())

    def scores(self) -> dict[str, float]:
        """Return the scores of the built-in metrics. Metrics that need more images or larger ones are left out."""
        fakes = torch.cat(self._fakes)
        real = {name: torch.cat(batches) for name, batches in self._batches.items()}
        if "image" in real:
            references = {"target": real["image"]}
        else:
            references = dict(TranslationImages(real["a"], real["b"], self._paired).reference_sets())  # type: ignore[arg-type]
        size, count = min(fakes.shape[-2:]), len(fakes)
        metrics = {name: each for name, each in METRICS.items() if size >= each.min_size and count >= each.min_images}
        return compute_scores(fakes, references, metrics)  # type: ignore[arg-type]
