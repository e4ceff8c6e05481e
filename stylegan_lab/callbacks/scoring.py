"""Scoring: the validation split's exam every so often, with the weights that will be used."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import lightning as L
import torch
from torch import Tensor

from stylegan_lab.callbacks.averaging import Averaging
from stylegan_lab.callbacks.interruption import asked_to_leave
from stylegan_lab.callbacks.watching import looking
from stylegan_lab.evaluation.embedding import Embedding
from stylegan_lab.evaluation.metrics import Entry, Metric, chosen
from stylegan_lab.evaluation.scores import score
from stylegan_lab.exam import Exam, counts, exams
from stylegan_lab.marks import Mark
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.ranks import gathered, largest, rank, ranks, said
from stylegan_lab.runs import Run

Answer = tuple[Tensor, list[Tensor]]  # pictures, and what each embedding makes of them


class PutOff(Exception):
    """Someone asked to leave; the scores are taken when the training goes on."""


class Scoring(L.Callback):
    """Ranks share the work. Logs `val/<metric>` every `every` iterations and at the end; 0: never. A generator makes `pictures`
    each time, or as many as are held out. `marks`: also what a classifier has to be trained for."""

    def __init__(
        self,
        every: int = 5000,
        metrics: Mapping[str, Entry] | None = None,
        pictures: int | None = None,
        marks: bool = False,
    ) -> None:
        at_least("callbacks.scoring.every", every, 0)
        if pictures is not None:
            at_least("callbacks.scoring.pictures", pictures, 2)
        self.every, self.pictures, self.marks = every, pictures, marks
        self.metrics = chosen(metrics or {})
        self._exam: Exam | None = None
        self._marks: Mapping[str, Mark] = {}  # the latest
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
        if self._exam is None:
            self._exam = next(iter(exams(module, data, "val", self.pictures).values()))
        questions = self._exam.questions(data.batch_size)  # those one process would be asked, whoever is
        answers = None
        with suppress(PutOff), looking(trainer, module):
            answers = [self._put(self._exam, question, trainer, module) for question in questions[rank() :: ranks()]]
        self._owed = bool(largest(int(answers is None), module.device))
        if answers is None or self._owed:
            return
        everyone = gathered(answers)
        scores = said(self._mark(self._exam, everyone, len(questions)) if trainer.is_global_zero else None)
        if trainer.is_global_zero:
            Run.of(trainer).record_protocol(self._protocol(self._exam, trainer))
        module.latest_scores = {"iteration": module.iteration, **scores}
        for logger in trainer.loggers:
            logger.log_metrics(scores, step=module.iteration)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in scores.items()})

    @property
    def _eyes(self) -> list[Embedding]:
        """Of the metrics that can be taken; one may serve several."""
        assert self._exam is not None
        taken = self._exam.others
        seen = [each.sees for each in self.metrics.values() if each.sees is not None and each.against in taken]
        return list({id(each): each for each in seen}.values())

    def _put(self, exam: Exam, question: Tensor, trainer: L.Trainer, module: Module) -> Answer:
        if asked_to_leave(trainer):
            raise PutOff
        pictures = exam.put(question, module)
        return pictures, [eye.vectors(pictures) for eye in self._eyes]

    def _mark(self, exam: Exam, everyone: Sequence[Sequence[Answer]], questions: int) -> dict[str, float]:
        """What all ranks answered together, each question once."""
        all_of_them = [everyone[place % len(everyone)][place // len(everyone)] for place in range(questions)]
        answers = torch.cat([pictures for pictures, _ in all_of_them])
        for number, eye in enumerate(self._eyes):
            eye.learn(answers, torch.cat([vectors[number] for _, vectors in all_of_them]))
        scores = score(answers, exam.others, self.metrics)
        if self.marks:
            self._marks = exam.marks(answers)
            scores |= {name: mark.value for name, mark in self._marks.items()}
        return {f"val/{name}": value for name, value in scores.items()}

    def _protocol(self, exam: Exam, trainer: L.Trainer) -> dict[str, Any]:
        """What belongs to every number that is written on the way."""
        taken = exam.others
        told: dict[str, Metric | Mark] = {name: each for name, each in self.metrics.items() if each.against in taken}
        told |= self._marks
        return {
            "split": "val",
            "ema": any(isinstance(each, Averaging) for each in trainer.callbacks),  # type: ignore[attr-defined]
            "counts": counts(exam),
            "better": {f"val/{name}": each.better for name, each in told.items()},
            "protocol": {f"val/{name}": each.protocol for name, each in told.items()},
        }

    def state_dict(self) -> dict[str, Any]:
        return {"owed": self._owed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._owed = state_dict["owed"]


def owes_scores(callbacks: Iterable[L.Callback], checkpoint: Mapping[str, Any]) -> bool:
    """Whether a training with these callbacks that goes on from there begins with scores that were put off."""
    owed = checkpoint.get("callbacks", {}).get(Scoring.__name__, {}).get("owed")
    return bool(owed) and any(isinstance(each, Scoring) for each in callbacks)
