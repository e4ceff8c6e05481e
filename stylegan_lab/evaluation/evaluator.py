"""Evaluators: they provide the held-out inputs of a model, score its predictions, and compute baselines that need no model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.evaluation.classifier_metrics import (
    ClassifierScore,
    LabelledImages,
    generation_metrics_available,
    generation_scores,
    translation_metrics_available,
    translation_scores,
)
from stylegan_lab.evaluation.metrics import METRICS, Metric, ReferenceSet, check_metric_inputs
from stylegan_lab.images.image_store import ImageSet, ImageStore
from stylegan_lab.images.value_range import to_unit

SEED = 0  # of the latents of generated images


class TranslationModel(Protocol):
    """A model that translates between domains."""

    @property
    def directions(self) -> Sequence[str]: ...

    @property
    def device(self) -> torch.device: ...

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor: ...


@runtime_checkable
class GenerationModel(Protocol):
    """A model that generates images from latents."""

    @property
    def classes(self) -> Sequence[str]: ...

    def numbered_latents(self, seed: int, first: int, count: int) -> Tensor: ...

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor: ...


EvaluatedModel = TranslationModel | GenerationModel


def compute_scores(
    images: ImageSet, reference_sets: Mapping[ReferenceSet, ImageSet], metrics: Mapping[str, Metric] = METRICS
) -> dict[str, float]:
    """Score images in [0, 1] with every metric whose reference set is available."""
    possible = {name: metric for name, metric in metrics.items() if metric.reference in reference_sets}
    for name, metric in possible.items():
        references = reference_sets[metric.reference]
        check_metric_inputs(name, metric, min(images.shape[-2:]), len(images), len(references))
    return {name: metric(images, reference_sets[metric.reference]) for name, metric in possible.items()}


@dataclass(frozen=True)
class TranslationImages:
    """The held-out images of two domains in [0, 1]. All images of a domain have the same size.

    If the translation enlarges images, the images of `b` are larger than the images of `a`.
    """

    a: Tensor
    b: Tensor
    paired: bool  # `b[i]` is the true translation of `a[i]`; otherwise the domains may differ in number

    def untranslated(self) -> Tensor:
        """Return `a`, upscaled bicubically if `b` is larger."""
        size = self.b.shape[-2:]
        return self.a if self.a.shape[-2:] == size else F.interpolate(self.a, size, mode="bicubic").clamp(0, 1)

    def reference_sets(self) -> dict[ReferenceSet, ImageSet]:
        """Return the reference sets that translations of `a` are compared with. Without pairs, there is no set `truth`."""
        references: dict[ReferenceSet, ImageSet] = {"target": self.b, "input": self.untranslated()}
        return references | {"truth": self.b} if self.paired else references


def gather_images(batches: Iterable[Mapping[str, Tensor]], paired: bool) -> TranslationImages:
    images = [(to_unit(batch["a"]), to_unit(batch["b"])) for batch in batches]
    return TranslationImages(torch.cat([a for a, _ in images]), torch.cat([b for _, b in images]), paired)


class ColorMap:
    """The affine color map from `a` to `b` with the least squared error on true pairs in [0, 1].

    As a baseline, it shows which scores a change of colors alone can reach.
    """

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.matrix = torch.linalg.lstsq(_with_ones(_colors(a)), _colors(b)).solution

    def __call__(self, images: Tensor) -> Tensor:
        mapped = _with_ones(_colors(images)) @ self.matrix
        n, channels, height, width = images.shape
        return mapped.float().reshape(n, height, width, channels).movedim(-1, 1).clamp(0, 1)


def _colors(images: Tensor) -> Tensor:
    return images.movedim(1, -1).reshape(-1, images.shape[1]).double()


def _with_ones(colors: Tensor) -> Tensor:
    return torch.cat([colors, torch.ones_like(colors[:, :1])], dim=1)


class TranslationEvaluator:
    """Evaluates translations of the held-out images. Images are in [0, 1] and quantized to 8 bits, as in a saved file."""

    name = "translated"  # the predictions, in tables and counts

    def __init__(self, data: ImageDataModule, split: str, direction: str = "a2b") -> None:
        images = gather_images(data.batches(data.held_out(split)), data.has_true_pairs)
        count_a, count_b = data.num_distinct(split)
        a, b = images.a[:count_a], images.b[:count_b]
        self.domains = TranslationImages(*((a, b) if direction == "a2b" else (b, a)), images.paired)
        self.direction, self.count = direction, len(self.domains.a)
        self.legend = f"input, translation, {'truth' if images.paired else 'target domain'}"
        self._data = data

    def inputs(self, batch_size: int) -> Sequence[Tensor]:
        return self.domains.a.split(batch_size)

    def predict(self, batch: Tensor, model: EvaluatedModel) -> Tensor:
        assert not isinstance(model, GenerationModel)
        return to_unit(model.translate((batch * 2 - 1).to(model.device), self.direction)).cpu()

    def collect(self, predictions: Iterable[Tensor]) -> ImageSet:
        return torch.cat(list(predictions))

    @cached_property
    def reference_sets(self) -> dict[ReferenceSet, ImageSet]:
        return self.domains.reference_sets()

    def baselines(self) -> dict[str, ImageSet]:
        """Return the untranslated inputs and, if the data has true pairs of the training domains, the inputs after the best color
        map."""
        baselines: dict[str, ImageSet] = {"untranslated": (untranslated := self.domains.untranslated())}
        if (pairs := self._data.reference_pairs()) is not None:
            known = gather_images(self._data.batches(pairs), paired=True)
            baselines["color map"] = ColorMap(known.untranslated(), known.b)(untranslated)  # a key of scores.json
        return baselines

    def classifier_scores(self, predictions: ImageSet) -> dict[str, ClassifierScore]:
        return translation_scores(predictions, self.domains.a, self.domains.b, self._data, self.direction)

    def grid_rows(self, predictions: ImageSet, columns: int) -> list[Tensor]:
        return [images[:columns] for images in (self.domains.a, predictions, self.domains.b)]

    def grid_row_names(self, num_rows: int) -> Sequence[str]:
        return ("input", "output", "target")


class GenerationEvaluator:
    """Evaluates generated images by comparing them with the real images of `split`. Published Fréchet distances use `train`.

    By default, it generates as many images as there are real ones. If `conditional`, the requested classes are the labels of the
    real images.
    """

    name = "generated"

    def __init__(self, data: ImageDataModule, split: str, count: int | None = None, conditional: bool = False) -> None:
        self.held_out = split != "train"
        self.legend = f"generated, {'held out' if self.held_out else 'of the training'}"
        batches = data.batches(data.held_out(split)) if self.held_out else data.training_batches(data.num_samples)
        self.real, self.labels = _real_images(batches)
        self.count = count or len(self.real)
        indices = torch.arange(self.count)
        with_labels = conditional and self.labels is not None
        self.requested_labels = self.labels[indices % len(self.labels)] if with_labels else None  # type: ignore[index, arg-type]
        self._data = data

    def inputs(self, batch_size: int) -> Sequence[Tensor]:
        """Return batches of the indices of the images to generate. The latents of an image depend only on its index."""
        return torch.arange(self.count).split(batch_size)

    def predict(self, batch: Tensor, model: EvaluatedModel) -> Tensor:
        assert isinstance(model, GenerationModel)
        labels = None if self.requested_labels is None else self.requested_labels[batch]
        return to_unit(model.generate(model.numbered_latents(SEED, int(batch[0]), len(batch)), labels)).cpu()

    def collect(self, predictions: Iterable[Tensor]) -> ImageSet:
        return ImageStore(predictions)

    @property
    def reference_sets(self) -> dict[ReferenceSet, ImageSet]:
        return {"target": self.real}

    def baselines(self) -> dict[str, ImageSet]:
        """Return real images of another split. Their scores are a limit: no generator should come closer to held-out images than
        training images do."""
        data = self._data
        batches = data.training_batches(self.count) if self.held_out else data.batches(data.held_out("test"))
        return {"training" if self.held_out else "held out": ImageStore(to_unit(batch["image"]) for batch in batches)}

    def classifier_scores(self, predictions: ImageSet) -> dict[str, ClassifierScore]:
        """Score the predictions with the classifier metrics. On the training split there are none, because these metrics need
        held-out images."""
        if not self.held_out:
            return {}
        generated = LabelledImages.downscale(predictions, self.requested_labels)
        return generation_scores(generated, LabelledImages.downscale(self.real, self.labels), self._data)

    def grid_rows(self, predictions: ImageSet, columns: int) -> list[Tensor]:
        return [*predictions[: columns * columns].split(columns), self.real[:columns]]

    def grid_row_names(self, num_rows: int) -> Sequence[str]:
        return [*["generated"] * (num_rows - 1), "real"]


Evaluator = TranslationEvaluator | GenerationEvaluator


def evaluators(
    model: EvaluatedModel, data: ImageDataModule, split: str, count: int | None = None
) -> dict[str, Evaluator]:
    """Return one evaluator for each direction of the model. The first one is the main evaluator."""
    if isinstance(model, GenerationModel):
        return {"generation": GenerationEvaluator(data, split, count, conditional=bool(model.classes))}
    return {direction: TranslationEvaluator(data, split, direction) for direction in model.directions}


def image_counts(evaluator: Evaluator) -> dict[str, int]:
    """Return the number of predictions, and the number of images in each reference set."""
    references = {name: len(images) for name, images in evaluator.reference_sets.items()}
    return {evaluator.name: evaluator.count} | references


def predict_all(evaluator: Evaluator, model: EvaluatedModel, batch_size: int) -> ImageSet:
    """Return the predictions for all inputs, computed by this process."""
    with torch.no_grad():
        return evaluator.collect(evaluator.predict(batch, model) for batch in evaluator.inputs(batch_size))


def available_reference_sets(model: EvaluatedModel, data: ImageDataModule) -> set[ReferenceSet]:
    """Return the names of the reference sets that this data provides for the images of this model."""
    if isinstance(model, GenerationModel):
        return {"target"}
    return {"target", "input", "truth"} if data.has_true_pairs else {"target", "input"}


def available_classifier_metrics(model: EvaluatedModel, data: ImageDataModule, split: str) -> set[str]:
    """Return the names of the classifier metrics that an evaluation on this split computes."""
    if isinstance(model, GenerationModel):
        return generation_metrics_available(data, bool(model.classes), len(data.held_out(split)))  # type: ignore[arg-type]
    return translation_metrics_available(data)


def _real_images(batches: Iterable[Mapping[str, Tensor]]) -> tuple[ImageStore, Tensor | None]:
    labels: list[Tensor] = []

    def images() -> Iterator[Tensor]:
        for batch in batches:
            if "label" in batch:
                labels.append(batch["label"])
            yield to_unit(batch["image"])

    store = ImageStore(images())
    return store, torch.cat(labels) if labels else None
