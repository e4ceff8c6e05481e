"""Generators: what a picture is told by, what is refused, and what an evaluator asks of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from stylegan_lab.evaluation.evaluator import GenerationEvaluator, available_reference_sets, evaluators, predict_all
from stylegan_lab.images.grid import grid
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.networks.latents import NormalLatents, SphereLatents, UniformLatents, numbered_latents
from stylegan_lab.training.experiment import build_experiment
from stylegan_lab.training.image_generator import ImageGenerator, slerp
from tests.refusals import refused

Composed = Callable[..., DictConfig]


def build(compose_config: Composed, *overrides: str) -> Any:
    return build_experiment(compose_config("experiment=smoke_generation", *overrides), {})


@pytest.fixture
def module(compose_config: Composed) -> GenerativeModel:
    nets = ["generator=dcgan", "discriminator=dcgan"]
    made: GenerativeModel = build(compose_config, "model=cgan", "data.size=16", *nets).module
    return made.eval().requires_grad_(False)


def test_a_generated_image_depends_on_seed_and_number_only(module: GenerativeModel) -> None:
    few, many = list(ImageGenerator(module, seed=1).images(3)), list(ImageGenerator(module, seed=1).images(20))
    torch.testing.assert_close(torch.stack(few), torch.stack(many[:3]))
    other = next(iter(ImageGenerator(module, seed=2).images(1)))
    assert not torch.allclose(other, few[0])


def test_latents_do_not_depend_on_how_their_sheet_is_cut() -> None:
    draw = NormalLatents(5)
    assert torch.equal(
        numbered_latents(draw, 3, 0, 6), torch.cat([numbered_latents(draw, 3, 0, 2), numbered_latents(draw, 3, 2, 4)])
    )


def test_latents_are_of_their_kind() -> None:
    dice = torch.Generator().manual_seed(0)
    torch.testing.assert_close(SphereLatents(50)(9, dice).square().mean(dim=1), torch.ones(9))
    uniform = UniformLatents(1000)(20, dice)
    assert uniform.min() >= -1 and uniform.max() <= 1 and abs(uniform.var() - 1 / 3) < 0.01
    assert abs(NormalLatents(1000)(20, dice).var() - 1) < 0.03


def test_classes_alternate_unless_one_is_chosen(module: GenerativeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    generate = module.generate

    def recorded_generate(latents: torch.Tensor, labels: torch.Tensor, truncation: float | None = None) -> torch.Tensor:
        asked.extend(labels.tolist())
        return generate(latents, labels, truncation)

    monkeypatch.setattr(module, "generate", recorded_generate)
    list(ImageGenerator(module).images(12))
    assert asked == [*range(10), 0, 1]
    asked.clear()
    list(ImageGenerator(module, "7").images(3))
    assert asked == [7, 7, 7]


def test_samples_have_a_row_for_each_class_and_a_column_for_each_latent(module: GenerativeModel) -> None:
    batch = {"image": torch.zeros(3, 1, 16, 16), "label": torch.tensor([2, 0, 1])}
    latents = module.numbered_latents(0, 0, 3)
    rows = module.sample_rows(batch)
    assert list(rows) == list(module.classes)
    for label, row in enumerate(rows.values()):  # type: ignore[union-attr]
        torch.testing.assert_close(row, module.generate(latents, torch.full((3,), label)))
    fake, real = module.fake_and_real(batch)["generator"]
    torch.testing.assert_close(fake, module.generate(latents, batch["label"]))
    assert real is batch["image"]


def test_samples_without_classes_are_a_square_grid(compose_config: Composed) -> None:
    plain = build(compose_config, "data.size=16", "generator=dcgan", "discriminator=dcgan").module.eval()
    rows = plain.sample_rows({"image": torch.zeros(3, 1, 16, 16)})
    torch.testing.assert_close(torch.cat(rows), plain.generate(plain.numbered_latents(0, 0, 9)))
    assert [len(row) for row in rows] == [3, 3, 3]


def test_the_class_changes_the_image(module: GenerativeModel) -> None:
    latents = module.numbered_latents(0, 0, 1)
    one, other = (module.generate(latents, torch.tensor([label])) for label in (1, 2))
    assert not torch.allclose(one, other)


def test_an_interpolation_passes_through_its_images(module: GenerativeModel) -> None:
    frames = list(ImageGenerator(module, "3").interpolate(3, frames=4))
    assert len(frames) == 12
    torch.testing.assert_close(torch.stack(frames[::4]), torch.stack(list(ImageGenerator(module, "3").images(3))))


def test_slerp_keeps_lengths_and_meets_its_ends() -> None:
    one, other = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 3.0])
    torch.testing.assert_close(slerp(one, other, 0.0), one)
    torch.testing.assert_close(slerp(one, other, 1.0), other)
    torch.testing.assert_close(slerp(one, other, 0.3).norm(), torch.tensor(3.0))
    torch.testing.assert_close(slerp(one, one, 0.5), one)


def test_an_evaluator_asks_for_the_classes_that_are_held_out(compose_config: Composed) -> None:
    experiment = build(compose_config, "model=cgan", "data.size=16", "data.test_images=7")
    (evaluator,) = evaluators(experiment.module, experiment.data, "test").values()
    assert isinstance(evaluator, GenerationEvaluator) and evaluator.count == 7
    answers = predict_all(evaluator, experiment.module.eval(), batch_size=3)[:]
    assert answers.shape == evaluator.real.shape
    assert torch.equal(answers, predict_all(evaluator, experiment.module, batch_size=7)[:])
    assert available_reference_sets(experiment.module, experiment.data) >= {"target"}
    assert answers.min() >= 0 and answers.max() <= 1


@pytest.mark.parametrize(
    ("overrides", "code", "named"),
    [
        (["model=gan", "generator.size=16"], "model.output_size_mismatch", ["generator.size=32"]),
        (["model=dcgan", "generator.size=24", "data.size=24"], "network.size_unsupported", ["generator.size=24"]),
        (["model=dcgan", "data=scenes_unpaired"], "model.data_mismatch", ["model=GAN", "data=UnpairedScenes"]),
        (["model=cgan", "generator=resnet_tiny"], "model.network_mismatch", ["generator=ResNetGenerator"]),
        (["model=dcgan", "latents.size=0"], "config.too_small", ["latents.size=0"]),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_before_training(
    compose_config: Composed, overrides: list[str], code: str, named: list[str]
) -> None:
    with refused(code, *named):
        build(compose_config, *overrides)


def test_a_run_of_another_kind_is_refused_with_the_right_command(module: GenerativeModel) -> None:
    with refused("translate.generation_model", "stylegan-lab generate"):
        module.translate(torch.zeros(1, 1, 16, 16))
    with refused("generate.no_truncation", "--truncation"):
        module.generate(module.numbered_latents(0, 0, 1), truncation=0.5)
    with refused("cli.unknown_choice", "label=42"):
        ImageGenerator(module, "42")


def test_against_the_training_split_a_generator_gets_classes_but_no_classifier_metrics(
    compose_config: Composed,
) -> None:
    experiment = build(compose_config, "model=cgan", "data.size=16", "data.train_images=30", "data.test_images=5")
    (evaluator,) = evaluators(experiment.module.eval(), experiment.data, "train").values()
    assert (
        isinstance(evaluator, GenerationEvaluator) and evaluator.count == 30 and evaluator.requested_labels is not None
    )
    seen = [experiment.data.train_samples()[(0, index)] for index in range(30)]
    assert sorted(each["image"].sum() for each in seen) == sorted(
        (evaluator.real[:] * 255).round().sum((1, 2, 3)).tolist()
    )
    assert sorted(evaluator.requested_labels.tolist()) == sorted(each["label"] for each in seen)
    assert evaluator.classifier_scores(evaluator.real) == {} and len(evaluator.baselines()["held out"]) == 5


@pytest.mark.parametrize("count", [2, 10, 17])
def test_any_number_of_images_can_be_shown(compose_config: Composed, count: int) -> None:
    experiment = build(compose_config, "model=cgan", "data.size=16", "data.test_images=5")
    (evaluator,) = evaluators(experiment.module.eval(), experiment.data, "test", count).values()
    shown = grid(evaluator.grid_rows(predict_all(evaluator, experiment.module, batch_size=8), columns=8))
    columns = max(5, min(count, 8))  # five are held out
    assert shown.shape[2] == 16 * columns + 2 * (columns - 1)


def test_the_reference_of_the_training_is_the_same_whatever_the_seed(compose_config: Composed) -> None:
    one, other = (build(compose_config, "model=cgan", "data.size=16", f"seed={seed}").data for seed in (0, 1))
    assert torch.equal(*(next(data.training_batches(5))["image"] for data in (one, other)))


def test_classes_are_those_of_the_data(compose_config: Composed) -> None:
    with refused("model.classes_mismatch", "model.classes=[1, 0]"):
        build(compose_config, "model=cgan", "model.classes=['1','0']")
