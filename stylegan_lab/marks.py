"""Marks: scores that take more than two sets of pictures: what was asked for, the training set, a classifier of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stylegan_lab.better import Better
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.data.stacked import COLOURS, StackedDigits, single_digits
from stylegan_lab.evaluation.classifier import PROTOCOL, classification_accuracy, classifier, shrunk
from stylegan_lab.evaluation.memorising import ALIKE, SIDE, memorised
from stylegan_lab.evaluation.modes import modes_covered, read_stacked, reverse_kl
from stylegan_lab.images.batch import Domains, Labelled, Pair, Unpaired
from stylegan_lab.images.convert import to_unit
from stylegan_lab.images.gallery import PictureSet

MOST = 10_000  # training pictures that are looked at, and others for their neighbours
ENOUGH = 20  # held-out pictures, to say what is near
BETTER: Mapping[str, Better] = {
    "translation_accuracy": "higher",
    "class_consistency": "higher",
    "classification_accuracy": "higher",
    "modes_covered": "higher",
    "modes_kl": "lower",
    "memorised": "lower",
}
NEEDS: Mapping[str, str] = {
    "translation_accuracy": "a translator between domains of one size",
    "class_consistency": "a generator of classes (model.classes)",
    "classification_accuracy": "a generator of classes (model.classes)",
    "modes_covered": "a generator of labelled data",
    "modes_kl": "a generator of labelled data",
    "memorised": f"a generator, and {ENOUGH} held-out pictures that are no stacks",
}


@dataclass(frozen=True)
class Mark:
    value: float
    held_out: float  # the same of real pictures that no training saw
    better: Better
    protocol: str


def _marked(name: str, value: float, held_out: float, protocol: str) -> dict[str, Mark]:
    return {name: Mark(value, held_out, BETTER[name], protocol)}


def given_to_generation(data: ImageData, on_request: bool, held_out: int) -> set[str]:
    """The names of the marks that `of_generation` gives, before there is anything to mark. Stacks of a split are made of the
    same digits, so that fresh ones are further from them than they from one another: nothing can be said of memorising."""
    asked = {"class_consistency", "classification_accuracy"} if on_request else set()
    modes = {"modes_covered", "modes_kl"} | asked if data.gives is Labelled else set()
    return modes | ({"memorised"} if held_out >= ENOUGH and not isinstance(data, StackedDigits) else set())


def given_to_translation(data: ImageData) -> set[str]:
    readable = data.gives in (Unpaired, Pair, Domains) and data.factor == 1
    return {"translation_accuracy"} if readable else set()


@dataclass(frozen=True)
class Crowd:
    """Pictures in [0, 1], small, and the class of each: of the real ones theirs, of made ones what was asked for."""

    pictures: Tensor
    labels: Tensor | None

    @classmethod
    def small(cls, pictures: PictureSet, labels: Tensor | None) -> "Crowd":
        return cls(shrunk(pictures), labels)


@dataclass(frozen=True)
class Reader:
    read: Callable[[Tensor], Tensor]
    classes: int
    words: str

    def share_right(self, crowd: Crowd) -> float:
        assert crowd.labels is not None
        return float((self.read(crowd.pictures) == crowd.labels).float().mean())


def of_generation(made: Crowd, real: Crowd, data: ImageData) -> dict[str, Mark]:
    """`real` are held-out pictures."""
    training = _training(data)
    given = given_to_generation(data, made.labels is not None, len(real.pictures))
    marks = _memorising(made, real, training) if "memorised" in given else {}
    if data.gives is not Labelled:
        return marks
    reader = _reader(data, training)
    asked = {} if made.labels is None else _asked(made, real, reader)
    return asked | _modes(made, real, data, reader) | marks


def of_translation(translated: PictureSet, real: PictureSet, data: ImageData, direction: str) -> dict[str, Mark]:
    """`real` are held-out pictures of the domain that was to be reached."""
    if not given_to_translation(data):
        return {}
    domains = _domains(data)
    assert domains.labels is not None
    reader = classifier(domains.pictures, domains.labels, int(domains.labels.max()) + 1)
    aim = torch.tensor(_aim(data, direction))
    protocol = (
        f"share read as the target domain by a classifier of {len(domains.pictures):,} training pictures ({PROTOCOL})"
    )
    accuracy = reader.share_read_as(translated, aim), reader.share_read_as(real, aim)
    return _marked("translation_accuracy", *accuracy, protocol)


def _asked(made: Crowd, real: Crowd, reader: Reader) -> dict[str, Mark]:
    assert made.labels is not None and real.labels is not None
    known = reader.share_right(real)
    taught = classification_accuracy(made.pictures, made.labels, real.pictures, real.labels, reader.classes)
    consistency = f"share read as the class asked for by {reader.words}"
    accuracy = (
        f"share of held-out pictures read rightly by a classifier of {len(made.pictures):,} generated ones ({PROTOCOL}); "
        "Ravuri and Vinyals (2019)"
    )
    return _marked("class_consistency", reader.share_right(made), known, consistency) | _marked(
        "classification_accuracy", taught, known, accuracy
    )


def _modes(made: Crowd, real: Crowd, data: ImageData, reader: Reader) -> dict[str, Mark]:
    training: Tensor = data.class_counts()  # type: ignore[attr-defined]
    read, known, count = reader.read(made.pictures), reader.read(real.pictures), reader.classes
    covered = modes_covered(read, count), modes_covered(known, count)
    apart = reverse_kl(read, training), reverse_kl(known, training)
    protocol = f"{count:,} classes in {len(read):,} generated pictures, as read by {reader.words}"
    kl = f"nats from the shares in the whole training set of {protocol}"
    return _marked("modes_covered", *covered, f"of {protocol}") | _marked("modes_kl", *apart, kl)


def _memorising(made: Crowd, real: Crowd, training: Crowd) -> dict[str, Mark]:
    share = memorised(made.pictures[:MOST], training.pictures, real.pictures[:MOST])
    protocol = (
        f"share that is nearer to the nearest of {len(training.pictures):,} training pictures, over that of "
        f"{len(real.pictures[:MOST]):,} held-out ones, than {1 - ALIKE:.0%} of those are; pixels at {SIDE}x{SIDE}"
    )
    return _marked("memorised", share, ALIKE, protocol)


def _reader(data: ImageData, training: Crowd) -> Reader:
    assert training.labels is not None
    classes = len(data.classes)  # type: ignore[attr-defined]
    if isinstance(data, StackedDigits):
        single = len(data.singles)
        each = classifier(*single_digits(training.pictures, training.labels, single), single)
        words = f"a classifier of {COLOURS * len(training.pictures):,} single digits ({PROTOCOL})"
        return Reader(partial(read_stacked, each), classes, words)
    read = classifier(training.pictures, training.labels, classes).read
    return Reader(read, classes, f"a classifier of {len(training.pictures):,} training pictures ({PROTOCOL})")


def _training(data: ImageData) -> Crowd:
    batches = list(_met(data))
    labels = torch.cat([batch["label"] for batch in batches]) if "label" in batches[0] else None
    return Crowd(torch.cat([batch["image"] for batch in batches]), labels)


def _domains(data: ImageData) -> Crowd:
    """Pictures of the training's domains; a label is the number of the domain."""
    pictures, labels = [], []
    for batch in _met(data):
        ones = torch.ones(len(batch["a"]), dtype=torch.long)
        pictures += [batch["a"], batch["b"]]
        labels += [batch.get("source", 0 * ones), batch.get("target", ones)]
    return Crowd(torch.cat(pictures), torch.cat(labels))


def _aim(data: ImageData, direction: str) -> int:
    if data.gives is not Domains:
        return int(direction == "a2b")
    names: list[str] = data.domains  # type: ignore[attr-defined]
    return names.index(data.target if direction == "a2b" else data.source)  # type: ignore[attr-defined]


def _met(data: ImageData) -> Iterator[dict[str, Tensor]]:
    """Batches of the training's first epoch, plain, small and in [0, 1]."""
    for batch in data.training_batches(MOST, data.seed):
        yield {name: shrunk(to_unit(value)) if value.is_floating_point() else value for name, value in batch.items()}
