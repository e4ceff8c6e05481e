"""An exam: what a run is asked on held-out pictures, how its answers are marked, and what can be had without it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from stylegan_lab.data.image_data import ImageData
from stylegan_lab.evaluation.colour_map import ColourMap
from stylegan_lab.evaluation.metrics import Against
from stylegan_lab.evaluation.scores import gather
from stylegan_lab.images.convert import to_unit
from stylegan_lab.images.gallery import Gallery, PictureSet
from stylegan_lab.marks import Crowd, Mark, given_to_generation, given_to_translation, of_generation, of_translation
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.modules.module import Module

SEED = 0  # of what is generated


class Exam(Protocol):
    """Pictures are in [0, 1], through the 8 bits in which they would be saved."""

    answer: str  # what a module's pictures are called
    legend: str  # of the rows of `shown`
    count: int

    def questions(self, at_once: int) -> Sequence[Tensor]: ...

    def put(self, question: Tensor, module: Module) -> Tensor: ...

    def kept(self, answers: Iterable[Tensor]) -> PictureSet:
        """All of them, in batches."""

    @property
    def others(self) -> Mapping[Against, PictureSet]:
        """What answers are held against."""

    def references(self) -> Mapping[str, PictureSet]:
        """What is reached without a model."""

    def marks(self, answers: PictureSet) -> dict[str, Mark]:
        """Scores that take more than pictures to compare."""

    def shown(self, answers: PictureSet, columns: int) -> list[Tensor]: ...


class TranslationExam:
    """Held-out pictures are to be translated."""

    answer = "translated"

    def __init__(self, data: ImageData, split: str, direction: str = "a2b") -> None:
        seen = gather(data.batches(data.held_out(split)), data.true_pairs).first(*data.distinct(split))
        self.domains = seen if direction == "a2b" else seen.reversed()
        self.direction, self.count = direction, len(self.domains.a)
        self.legend = f"input, translation, {'truth' if seen.paired else 'target domain'}"
        self._data = data

    def questions(self, at_once: int) -> Sequence[Tensor]:
        return self.domains.a.split(at_once)

    def put(self, question: Tensor, module: Module) -> Tensor:
        return _saved(module.translate((question * 2 - 1).to(module.device), self.direction))

    def kept(self, answers: Iterable[Tensor]) -> PictureSet:
        return torch.cat(list(answers))

    @cached_property
    def others(self) -> dict[Against, PictureSet]:
        return self.domains.others()

    def references(self) -> dict[str, PictureSet]:
        """The inputs themselves, and what a change of palette could do, where true pairs of the training domains are known."""
        plain = self.domains.untranslated()
        pairs = self._data.reference_pairs()
        if pairs is None:
            return {"untranslated": plain}
        known = gather(self._data.batches(pairs), paired=True)
        return {"untranslated": plain, "colour map": ColourMap(known.untranslated(), known.b)(plain)}

    def marks(self, answers: PictureSet) -> dict[str, Mark]:
        return of_translation(answers, self.domains.b, self._data, self.direction)

    def shown(self, answers: PictureSet, columns: int) -> list[Tensor]:
        return [images[:columns] for images in (self.domains.a, answers, self.domains.b)]


class GenerationExam:
    """As many pictures are to be made as a split has, or `count`; of their classes, if they can be had `on_request`. Of the split
    `train` they are held against what the training saw, as published Fréchet distances are."""

    answer = "generated"

    def __init__(self, data: ImageData, split: str, count: int | None = None, on_request: bool = False) -> None:
        self.held_out = split != "train"
        self.legend = f"generated, {'held out' if self.held_out else 'of the training'}"
        batches = data.batches(data.held_out(split)) if self.held_out else data.training_batches(data.samples)
        self.real, self.labels = _real(batches)
        self.count = count or len(self.real)
        numbers = torch.arange(self.count)
        self.asked = self.labels[numbers % len(self.labels)] if on_request and self.labels is not None else None
        self._data = data

    def questions(self, at_once: int) -> Sequence[Tensor]:
        """Numbers of pictures."""
        return torch.arange(self.count).split(at_once)

    def put(self, question: Tensor, module: Module) -> Tensor:
        assert isinstance(module, GenerativeModule)
        latents = module.numbered_latents(SEED, int(question[0]), len(question))
        return _saved(module.generate(latents, None if self.asked is None else self.asked[question]))

    def kept(self, answers: Iterable[Tensor]) -> PictureSet:
        return Gallery(answers)

    @property
    def others(self) -> dict[Against, PictureSet]:
        return {"target": self.real}

    def references(self) -> dict[str, PictureSet]:
        """Real pictures of the other kind: no generator is to come nearer to what is held out than the training does."""
        data = self._data
        batches = data.training_batches(self.count) if self.held_out else data.batches(data.held_out("test"))
        return {"training" if self.held_out else "held out": Gallery(to_unit(batch["image"]) for batch in batches)}

    def marks(self, answers: PictureSet) -> dict[str, Mark]:
        """They tell what was learnt from what was learnt by heart, by pictures that are held out."""
        if not self.held_out:
            return {}
        return of_generation(Crowd.small(answers, self.asked), Crowd.small(self.real, self.labels), self._data)

    def shown(self, answers: PictureSet, columns: int) -> list[Tensor]:
        return [*answers[: columns * columns].split(columns), self.real[:columns]]


def exams(module: Module, data: ImageData, split: str, count: int | None = None) -> dict[str, Exam]:
    """By direction; the first is the one that counts."""
    if isinstance(module, GenerativeModule):
        return {"generation": GenerationExam(data, split, count, on_request=bool(module.classes))}
    return {direction: TranslationExam(data, split, direction) for direction in module.directions}


def counts(exam: Exam) -> dict[str, int]:
    """How many answers there are, and how many pictures they are held against."""
    return {exam.answer: exam.count} | {against: len(other) for against, other in exam.others.items()}


def sat(exam: Exam, module: Module, at_once: int) -> PictureSet:
    """Every answer, by one process."""
    with torch.no_grad():
        return exam.kept(exam.put(question, module) for question in exam.questions(at_once))


def measurable(module: Module, data: ImageData) -> set[Against]:
    """What a module's pictures can be held against with this data."""
    if isinstance(module, GenerativeModule):
        return {"target"}
    return {"target", "input", "truth"} if data.true_pairs else {"target", "input"}


def markable(module: Module, data: ImageData, split: str) -> set[str]:
    """The marks that an exam of this split will give."""
    if isinstance(module, GenerativeModule):
        return given_to_generation(data, bool(module.classes), len(data.held_out(split)))  # type: ignore[arg-type]
    return given_to_translation(data)


def _real(batches: Iterable[Mapping[str, Tensor]]) -> tuple[Gallery, Tensor | None]:
    """Their pictures, and their labels, if they have any."""
    labels: list[Tensor] = []

    def pictures() -> Iterator[Tensor]:
        for batch in batches:
            if "label" in batch:
                labels.append(batch["label"])
            yield to_unit(batch["image"])

    gallery = Gallery(pictures())
    return gallery, torch.cat(labels) if labels else None


def _saved(pictures: Tensor) -> Tensor:
    return to_unit(pictures).cpu()
