"""Classifier metrics: scores that need more than two sets of images, such as the training images or a trained classifier.

The number of covered modes (of the 1,000 of three stacked digits) and the reverse KL follow Metz et al. (2017), Srivastava et al.
(2017) and Lin et al. (2018).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.data.synthetic.stacked_digits import STACKED_CHANNELS, StackedDigitsDataModule, single_digits
from stylegan_lab.evaluation.classifier import (
    PROTOCOL,
    SmallClassifier,
    classification_accuracy,
    downscaled,
    train_classifier,
)
from stylegan_lab.evaluation.memorization import COMPARED_SIZE, EXPECTED_SHARE, memorization
from stylegan_lab.evaluation.metric_direction import Direction
from stylegan_lab.images.batch import DomainBatch, LabelledBatch, PairedBatch, UnpairedBatch
from stylegan_lab.images.image_store import ImageSet
from stylegan_lab.images.value_range import to_unit

MAX_TRAINING_IMAGES = 10_000  # images that train a classifier or are compared for memorization
MIN_HELD_OUT = 20  # held-out images that the threshold of memorization needs
MIN_SKILL = 0.5  # on held-out real images (0: chance, 1: all are read), below which a classifier's scores are left out

DIRECTIONS: Mapping[str, Direction] = {
    "translation_accuracy": "higher",
    "class_consistency": "higher",
    "classification_accuracy": "higher",
    "modes_covered": "higher",
    "modes_kl": "lower",
    "memorization": "lower",
}

REQUIREMENTS: Mapping[str, str] = {
    "translation_accuracy": "a generator between domains of one size",
    "class_consistency": "a class-conditional generator (model.classes)",
    "classification_accuracy": "a class-conditional generator (model.classes)",
    "modes_covered": "a generator of labelled data",
    "modes_kl": "a generator of labelled data",
    "memorization": f"a generator, {MIN_HELD_OUT} held-out images, and data other than stacked digits",
}


@dataclass(frozen=True)
class ClassifierScore:
    """A score of a classifier metric. If the classifier fails on real images, `missing` is the reason why the score is left out."""

    value: float
    held_out: float  # the same score of real images that were not used for training
    direction: Direction
    protocol: str
    missing: str = ""


def present(scores: Mapping[str, ClassifierScore]) -> dict[str, ClassifierScore]:
    return {name: score for name, score in scores.items() if not score.missing}


def missing_reasons(scores: Mapping[str, ClassifierScore]) -> dict[str, str]:
    return {name: score.missing for name, score in scores.items() if score.missing}


def checked(
    scores: Mapping[str, ClassifierScore], predicted: Tensor, labels: Tensor, classes: int
) -> dict[str, ClassifierScore]:
    """Return the scores. If the classifier fails on held-out real images, each score gets a reason to leave it out.

    `predicted` are the classifier's predictions for these images and `labels` are their true classes. The accuracy, averaged over
    the classes, has to be at least `required_accuracy(classes)`. Because of this average, a classifier that always predicts the
    same class is at chance level.
    """
    predicted, labels = predicted.cpu(), labels.cpu()
    recalls = [(predicted[labels == label] == label).double().mean() for label in labels.unique()]
    accuracy, required = float(torch.stack(recalls).mean()), required_accuracy(classes)
    rule = (
        f"left out if it correctly classifies less than {required:.1%} of held-out real images, averaged over classes"
    )
    missing = ""
    if accuracy < required:
        missing = (
            f"the classifier correctly classifies {accuracy:.1%} of held-out real images, less than {required:.1%} (halfway "
            "from chance to all)"
        )
    return {name: replace(each, protocol=f"{each.protocol}; {rule}", missing=missing) for name, each in scores.items()}


def required_accuracy(classes: int) -> float:
    return 1 / classes + MIN_SKILL * (1 - 1 / classes)


def _score(name: str, value: float, held_out: float, protocol: str) -> dict[str, ClassifierScore]:
    return {name: ClassifierScore(value, held_out, DIRECTIONS[name], protocol)}


def generation_metrics_available(data: ImageDataModule, conditional: bool, held_out: int) -> set[str]:
    """Return the names of the metrics that `generation_scores` will compute.

    Memorization is undefined for stacked digits: all stacks of a split share its digits, so stacks of new digits are further from
    these stacks than the stacks are from each other.
    """
    of_classes = {"class_consistency", "classification_accuracy"} if conditional else set()
    of_labels = {"modes_covered", "modes_kl"} | of_classes if data.batch_type is LabelledBatch else set()
    comparable = held_out >= MIN_HELD_OUT and not isinstance(data, StackedDigitsDataModule)
    return of_labels | ({"memorization"} if comparable else set())


def translation_metrics_available(data: ImageDataModule) -> set[str]:
    """Return the names of the metrics that `translation_scores` will compute."""
    classifiable = data.batch_type in (UnpairedBatch, PairedBatch, DomainBatch) and data.factor == 1
    return {"translation_accuracy"} if classifiable else set()


@dataclass(frozen=True)
class LabelledImages:
    """Downscaled images in [0, 1] with labels. The label of a real image is its true class; the label of a generated image is the
    class that was requested."""

    images: Tensor
    labels: Tensor | None

    @classmethod
    def downscale(cls, images: ImageSet, labels: Tensor | None) -> "LabelledImages":
        return cls(downscaled(images), labels)


@dataclass(frozen=True)
class ImageClassifier:
    predict: Callable[[Tensor], Tensor]
    classes: int
    description: str  # for protocols

    def accuracy(self, labelled: LabelledImages) -> float:
        assert labelled.labels is not None
        return float((self.predict(labelled.images) == labelled.labels).float().mean())


def generation_scores(
    generated: LabelledImages, real: LabelledImages, data: ImageDataModule
) -> dict[str, ClassifierScore]:
    """Score generated images. `real` are the held-out images to compare them with."""
    training = _training_images(data)
    available = generation_metrics_available(data, generated.labels is not None, len(real.images))
    scores = _memorization_score(generated, real, training) if "memorization" in available else {}
    if data.batch_type is not LabelledBatch:
        return scores
    assert real.labels is not None
    classifier = _image_classifier(data, training)
    conditional = {} if generated.labels is None else _conditional_scores(generated, real, classifier)
    classified = conditional | _mode_scores(generated, real, data, classifier)
    return checked(classified, classifier.predict(real.images), real.labels, classifier.classes) | scores


def translation_scores(
    translated: ImageSet, source: ImageSet, target: ImageSet, data: ImageDataModule, direction: str
) -> dict[str, ClassifierScore]:
    """Score translated images. `source` and `target` are the held-out images of the two domains."""
    if not translation_metrics_available(data):
        return {}
    domains = _domain_images(data)
    assert domains.labels is not None
    classifier = train_classifier(domains.images, domains.labels, int(domains.labels.max()) + 1)
    label, source_label = (_target_label(data, each) for each in (direction, "b2a" if direction == "a2b" else "a2b"))
    by = f"a classifier of {len(domains.images):,} training images ({PROTOCOL})"
    predicted = classifier.predict(source), classifier.predict(target)
    labels = torch.tensor([source_label] * len(source) + [label] * len(target))
    share, share_of_real = (
        float((each == label).float().mean()) for each in (classifier.predict(translated), predicted[1])
    )
    score = _score("translation_accuracy", share, share_of_real, f"share read as the target domain by {by}")
    return checked(score, torch.cat(predicted), labels, classifier.classes)


def _conditional_scores(
    generated: LabelledImages, real: LabelledImages, classifier: ImageClassifier
) -> dict[str, ClassifierScore]:
    assert generated.labels is not None and real.labels is not None
    on_real = classifier.accuracy(real)
    trained_on_generated = classification_accuracy(
        generated.images, generated.labels, real.images, real.labels, classifier.classes
    )
    consistency = f"share read as the class asked for by {classifier.description}"
    accuracy = (
        f"share of held-out images classified correctly by a classifier of {len(generated.images):,} generated ones ({PROTOCOL}); "
        "Ravuri and Vinyals (2019)"
    )
    return _score("class_consistency", classifier.accuracy(generated), on_real, consistency) | _score(
        "classification_accuracy", trained_on_generated, on_real, accuracy
    )


def _mode_scores(
    generated: LabelledImages, real: LabelledImages, data: ImageDataModule, classifier: ImageClassifier
) -> dict[str, ClassifierScore]:
    training: Tensor = data.class_counts()  # type: ignore[attr-defined]
    predicted, on_real = classifier.predict(generated.images), classifier.predict(real.images)
    classes = classifier.classes
    covered = modes_covered(predicted, classes), modes_covered(on_real, classes)
    divergence = reverse_kl(predicted, training), reverse_kl(on_real, training)
    protocol = f"{classes:,} classes in {len(predicted):,} generated images, as read by {classifier.description}"
    kl = f"nats from the shares in the whole training set of {protocol}"
    return _score("modes_covered", *covered, f"of {protocol}") | _score("modes_kl", *divergence, kl)


def _memorization_score(
    generated: LabelledImages, real: LabelledImages, training: LabelledImages
) -> dict[str, ClassifierScore]:
    held_out = real.images[:MAX_TRAINING_IMAGES]
    share = memorization(generated.images[:MAX_TRAINING_IMAGES], training.images, held_out)
    protocol = (
        f"share that is nearer to the nearest of {len(training.images):,} training images, over that of "
        f"{len(held_out):,} held-out ones, than {1 - EXPECTED_SHARE:.0%} of those are; pixels at {COMPARED_SIZE}x{COMPARED_SIZE}"
    )
    return _score("memorization", share, EXPECTED_SHARE, protocol)


def _image_classifier(data: ImageDataModule, training: LabelledImages) -> ImageClassifier:
    assert training.labels is not None
    classes = len(data.classes)  # type: ignore[attr-defined]
    if isinstance(data, StackedDigitsDataModule):
        single = len(data.digit_classes)
        digits = train_classifier(*single_digits(training.images, training.labels, single), single)
        description = f"a classifier of {STACKED_CHANNELS * len(training.images):,} single digits ({PROTOCOL})"
        return ImageClassifier(partial(predict_stacked, digits), classes, description)
    predict = train_classifier(training.images, training.labels, classes).predict
    return ImageClassifier(predict, classes, f"a classifier of {len(training.images):,} training images ({PROTOCOL})")


def predict_stacked(digits: SmallClassifier, images: Tensor) -> Tensor:
    """Return the number that each image of stacked digits (N, 3, H, W) shows. The first channel is the most significant digit."""
    numbers = torch.zeros(len(images), dtype=torch.long)
    for channel in images.split(1, dim=1):
        numbers = numbers * digits.classes + digits.predict(channel)
    return numbers


def modes_covered(predicted: Tensor, modes: int) -> int:
    """Return how many of the modes 0, 1, ... were predicted at least once."""
    return int((_counts(predicted, modes) > 0).sum())


def reverse_kl(predicted: Tensor, real_counts: Tensor) -> float:
    """Return KL(samples || real) in nats. A mode without real images counts as if it had one image; otherwise a single sample of
    that mode would make the divergence infinite."""
    counts, real_counts = _counts(predicted, len(real_counts)), real_counts.double().clamp_min(1)
    samples, real = counts / counts.sum(), real_counts / real_counts.sum()
    return float(torch.where(samples > 0, samples * (samples / real).log(), 0.0).sum())


def _counts(predicted: Tensor, modes: int) -> Tensor:
    return torch.bincount(predicted.flatten().cpu(), minlength=modes).double()


def _training_images(data: ImageDataModule) -> LabelledImages:
    batches = list(_training_batches(data))
    labels = torch.cat([batch["label"] for batch in batches]) if "label" in batches[0] else None
    return LabelledImages(torch.cat([batch["image"] for batch in batches]), labels)


def _domain_images(data: ImageDataModule) -> LabelledImages:
    """Return training images of all domains. A label is the index of the domain."""
    images, labels = [], []
    for batch in _training_batches(data):
        ones = torch.ones(len(batch["a"]), dtype=torch.long)
        images += [batch["a"], batch["b"]]
        labels += [batch.get("source", 0 * ones), batch.get("target", ones)]
    return LabelledImages(torch.cat(images), torch.cat(labels))


def _target_label(data: ImageDataModule, direction: str) -> int:
    if data.batch_type is not DomainBatch:
        return int(direction == "a2b")
    names: list[str] = data.domains  # type: ignore[attr-defined]
    return names.index(data.target if direction == "a2b" else data.source)  # type: ignore[attr-defined]


def _training_batches(data: ImageDataModule) -> Iterator[dict[str, Tensor]]:
    """Yield batches of the first training epoch, without augmentation, downscaled, in [0, 1]."""
    for batch in data.training_batches(MAX_TRAINING_IMAGES, data.seed):
        tensors = {key: value for key, value in batch.items() if isinstance(value, Tensor)}
        yield {key: downscaled(to_unit(value)) if value.dim() == 4 else value for key, value in tensors.items()}
