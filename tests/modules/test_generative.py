"""Generators: what a picture is told by, what is refused, and what an exam asks of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from stylegan_lab.cli.generate import Maker, slerp
from stylegan_lab.exam import GenerationExam, exams, measurable, sat
from stylegan_lab.experiment import build
from stylegan_lab.images.grid import grid
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.nets.latents import Normal, OnSphere, Uniform, numbered

Composed = Callable[..., DictConfig]


def built(composed: Composed, *overrides: str) -> Any:
    return build(composed("experiment=smoke", *overrides), {})


@pytest.fixture
def module(composed: Composed) -> GenerativeModule:
    nets = ["generator=dcgan", "adversary=dcgan"]
    made: GenerativeModule = built(composed, "model=cgan", "data.size=16", *nets).module
    return made.eval().requires_grad_(False)


def test_a_picture_is_told_by_seed_and_number_alone(module: GenerativeModule) -> None:
    few, many = list(Maker(module, seed=1).pictures(3)), list(Maker(module, seed=1).pictures(20))
    torch.testing.assert_close(torch.stack(few), torch.stack(many[:3]))
    other = next(iter(Maker(module, seed=2).pictures(1)))
    assert not torch.allclose(other, few[0])


def test_latents_do_not_depend_on_how_their_sheet_is_cut() -> None:
    draw = Normal(5)
    assert torch.equal(numbered(draw, 3, 0, 6), torch.cat([numbered(draw, 3, 0, 2), numbered(draw, 3, 2, 4)]))


def test_latents_are_of_their_kind() -> None:
    dice = torch.Generator().manual_seed(0)
    torch.testing.assert_close(OnSphere(50)(9, dice).square().mean(dim=1), torch.ones(9))
    uniform = Uniform(1000)(20, dice)
    assert uniform.min() >= -1 and uniform.max() <= 1 and abs(uniform.var() - 1 / 3) < 0.01
    assert abs(Normal(1000)(20, dice).var() - 1) < 0.03


def test_classes_take_turns_unless_one_is_asked_for(module: GenerativeModule, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    generate = module.generate

    def noted(latents: torch.Tensor, labels: torch.Tensor, truncation: float | None = None) -> torch.Tensor:
        asked.extend(labels.tolist())
        return generate(latents, labels, truncation)

    monkeypatch.setattr(module, "generate", noted)
    list(Maker(module).pictures(12))
    assert asked == [*range(10), 0, 1]
    asked.clear()
    list(Maker(module, "7").pictures(3))
    assert asked == [7, 7, 7]


def test_a_class_changes_the_picture(module: GenerativeModule) -> None:
    latents = module.numbered_latents(0, 0, 1)
    one, other = (module.generate(latents, torch.tensor([label])) for label in (1, 2))
    assert not torch.allclose(one, other)


def test_a_walk_passes_through_its_pictures(module: GenerativeModule) -> None:
    frames = list(Maker(module, "3").between(3, frames=4))
    assert len(frames) == 12
    torch.testing.assert_close(torch.stack(frames[::4]), torch.stack(list(Maker(module, "3").pictures(3))))


def test_slerp_keeps_lengths_and_meets_its_ends() -> None:
    one, other = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    torch.testing.assert_close(slerp(one, other, 0.0), one)
    torch.testing.assert_close(slerp(one, other, 1.0), other)
    torch.testing.assert_close(slerp(one, other, 0.3).norm(), torch.tensor(3.0))
    torch.testing.assert_close(slerp(one, one, 0.5), one)


def test_an_exam_asks_for_the_classes_that_are_held_out(composed: Composed) -> None:
    experiment = built(composed, "model=cgan", "data.size=16", "data.test_scenes=7")
    (exam,) = exams(experiment.module, experiment.data, "test").values()
    assert isinstance(exam, GenerationExam) and exam.count == 7
    answers = sat(exam, experiment.module.eval(), at_once=3)[:]
    assert answers.shape == exam.real.shape
    assert torch.equal(answers, sat(exam, experiment.module, at_once=7)[:])
    assert measurable(experiment.module, experiment.data) >= {"target"}
    assert answers.min() >= 0 and answers.max() <= 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model=gan", "generator.size=16"], "generator.size=32"),
        (["model=dcgan", "generator.size=24", "data.size=24"], "4 or 7 times a power of 2"),
        (["model=dcgan", "data=scenes_unpaired"], "needs pictures"),
        (["model=cgan", "model.generator=${translator}"], "generator=ResNetTranslator cannot serve"),
        (["model=dcgan", "latents.size=0"], "latents.size"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_told_before_a_training(composed: Composed, overrides: list[str], said: str) -> None:
    with pytest.raises(Mistake, match=said):
        built(composed, *overrides)


def test_a_run_of_another_kind_is_told_what_it_can_do(module: GenerativeModule) -> None:
    with pytest.raises(Mistake, match="stylegan-lab generate"):
        module.translate(torch.zeros(1, 1, 16, 16))
    with pytest.raises(Mistake, match="--truncation"):
        module.generate(module.numbered_latents(0, 0, 1), truncation=0.5)
    with pytest.raises(Mistake, match="--class=42 is unknown"):
        Maker(module, "42")


def test_held_against_the_training_a_generator_is_asked_for_its_classes_and_given_no_marks(composed: Composed) -> None:
    experiment = built(composed, "model=cgan", "data.size=16", "data.train_scenes=30", "data.test_scenes=5")
    (exam,) = exams(experiment.module.eval(), experiment.data, "train").values()
    assert isinstance(exam, GenerationExam) and exam.count == 30 and exam.asked is not None
    seen = [experiment.data.train_samples()[(0, index)] for index in range(30)]
    assert sorted(each["image"].sum() for each in seen) == sorted((exam.real[:] * 255).round().sum((1, 2, 3)).tolist())
    assert sorted(exam.asked.tolist()) == sorted(each["label"] for each in seen)
    assert exam.marks(exam.real) == {} and len(exam.references()["held out"]) == 5


@pytest.mark.parametrize("count", [2, 10, 17])
def test_any_number_of_answers_can_be_shown(composed: Composed, count: int) -> None:
    experiment = built(composed, "model=cgan", "data.size=16", "data.test_scenes=5")
    (exam,) = exams(experiment.module.eval(), experiment.data, "test", count).values()
    shown = grid(exam.shown(sat(exam, experiment.module, at_once=8), columns=8))
    columns = max(5, min(count, 8))  # five are held out
    assert shown.shape[2] == 16 * columns + 2 * (columns - 1)


def test_the_reference_of_the_training_is_the_same_whatever_the_seed(composed: Composed) -> None:
    one, other = (built(composed, "model=cgan", "data.size=16", f"seed={seed}").data for seed in (0, 1))
    assert torch.equal(*(next(data.training_batches(5))["image"] for data in (one, other)))


def test_classes_are_those_of_the_data(composed: Composed) -> None:
    with pytest.raises(Mistake, match="number 0, 1, 2"):
        built(composed, "model=cgan", "model.classes=['1','0']")
