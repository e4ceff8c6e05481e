"""Classifier metrics of generated and translated images, compared with those of real images."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from stylegan_lab.data.synthetic.glyphs import GlyphsDataModule
from stylegan_lab.data.synthetic.scenes_datamodule import (
    DomainScenesDataModule,
    LabelledScenesDataModule,
    PairedScenesDataModule,
    ScenesDataModule,
    StyleScenesDataModule,
    SuperResolutionScenesDataModule,
)
from stylegan_lab.data.synthetic.stacked_digits import StackedDigitsDataModule
from stylegan_lab.evaluation.classifier_metrics import (
    DIRECTIONS,
    REQUIREMENTS,
    ClassifierScore,
    LabelledImages,
    checked,
    generation_metrics_available,
    generation_scores,
    missing_reasons,
    present,
    required_accuracy,
    translation_metrics_available,
)
from stylegan_lab.evaluation.evaluator import GenerationEvaluator, TranslationEvaluator
from stylegan_lab.images.image_io import write_image
from stylegan_lab.training.evaluate import scores_table
from tests.data.folders.photos import data_of


@pytest.fixture(scope="module", autouse=True)
def classifier_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def glyphs() -> GlyphsDataModule:
    return GlyphsDataModule(["0", "1", "2"], size=16, train_images=300, val_images=150, test_images=150)


def test_images_of_the_right_class_score_well(glyphs: GlyphsDataModule) -> None:
    evaluator, other = (GenerationEvaluator(glyphs, split, conditional=True) for split in ("test", "val"))
    scores = evaluator.classifier_scores(other.real)
    assert scores["class_consistency"].value > 0.9 and scores["class_consistency"].held_out > 0.9
    assert scores["classification_accuracy"].value > 0.8
    assert scores["modes_covered"].value == scores["modes_covered"].held_out == 3
    assert scores["modes_kl"].value < 0.02 and scores["memorization"].value < 0.15
    assert "300 training images" in scores["class_consistency"].protocol


def test_wrong_classes_copies_and_collapsed_modes_score_badly(glyphs: GlyphsDataModule) -> None:
    evaluator = GenerationEvaluator(glyphs, "test", conditional=True)
    swapped = evaluator.classifier_scores(evaluator.real[:].roll(1, 0))
    assert swapped["class_consistency"].value < 0.1 and swapped["classification_accuracy"].value < 0.1
    training = torch.stack([glyphs.train_samples()[(0, index)]["image"] for index in range(150)]).float() / 255
    assert evaluator.classifier_scores(training)["memorization"].value == 1
    collapsed = evaluator.classifier_scores(evaluator.real[:1].expand(evaluator.real.shape))
    assert collapsed["modes_covered"].value == 1 and collapsed["modes_kl"].value > 1


def test_copies_are_found_whatever_the_augmentation(tmp_path: Path) -> None:
    for number, image in enumerate(torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1):
        write_image(image, tmp_path / "root" / f"{number}.png")
    data = data_of("data=flat", f"data.root={tmp_path / 'root'}", "augment=flip", "data.test_fraction=0.4")
    evaluator = GenerationEvaluator(data, "test", count=30)
    assert evaluator.classifier_scores(evaluator.baselines()["training"])["memorization"].value == 1
    assert evaluator.classifier_scores(torch.rand(30, 3, 16, 16))["memorization"].value < 0.3


def test_an_unconditional_generator_has_no_class_metrics(glyphs: GlyphsDataModule) -> None:
    evaluator = GenerationEvaluator(glyphs, "test", count=70)
    assert {*evaluator.classifier_scores(torch.rand(70, 1, 16, 16))} == {"modes_covered", "modes_kl", "memorization"}


def test_the_available_metrics_are_those_computed(glyphs: GlyphsDataModule) -> None:
    for conditional in (True, False):
        scores = GenerationEvaluator(glyphs, "val", conditional=conditional).classifier_scores(
            torch.rand(150, 1, 16, 16)
        )
        assert generation_metrics_available(glyphs, conditional, 150) == {*scores} and {*scores} <= {*DIRECTIONS}
        assert all(score.direction == DIRECTIONS[name] for name, score in scores.items())
    assert "memorization" not in generation_metrics_available(glyphs, False, 5)
    few = {"size": 16, "train_images": 2, "test_images": 2}
    classifiable: dict[type[ScenesDataModule], bool] = {
        PairedScenesDataModule: True,
        DomainScenesDataModule: True,
        StyleScenesDataModule: False,
        SuperResolutionScenesDataModule: False,
    }
    for kind, is_classifiable in classifiable.items():
        data = kind(**few)
        evaluator = TranslationEvaluator(data, "test")
        assert (
            translation_metrics_available(data)
            == {*evaluator.classifier_scores(evaluator.domains.b)}
            == ({"translation_accuracy"} if is_classifiable else set())
        )
    assert REQUIREMENTS.keys() == DIRECTIONS.keys()


def test_stacked_digits_are_classified_one_by_one(glyphs: GlyphsDataModule) -> None:
    data = StackedDigitsDataModule(glyphs, size=16, batch_size=64, train_images=100, test_images=300)
    evaluator = GenerationEvaluator(data, "test")
    scores = evaluator.classifier_scores(evaluator.real)
    assert scores.keys() == generation_metrics_available(data, False, 300) == {"modes_covered", "modes_kl"}
    assert scores["modes_covered"].value == 27 and "of 27 classes" in scores["modes_covered"].protocol
    assert scores["modes_kl"].held_out < 0.08, "the shares of all stacks are known, however few are held out"
    assert (
        evaluator.classifier_scores(evaluator.real[:][:, :1].expand(evaluator.real.shape))["modes_covered"].value == 3
    )


def test_any_labelled_data_can_be_classified() -> None:
    data = LabelledScenesDataModule(["photo", "ink"], size=16, train_images=40, test_images=12)
    evaluator = GenerationEvaluator(data, "test", conditional=True)
    assert (
        evaluator.requested_labels is not None
        and evaluator.classifier_scores(evaluator.real)["class_consistency"].value > 0.9
    )


def test_translations_are_classified_as_the_target_domain() -> None:
    data = PairedScenesDataModule(size=16, train_images=40, test_images=8, batch_size=8)
    forward, backward = TranslationEvaluator(data, "test", "a2b"), TranslationEvaluator(data, "test", "b2a")
    assert forward.classifier_scores(forward.domains.b)["translation_accuracy"].value == 1
    assert forward.classifier_scores(forward.domains.a)["translation_accuracy"].value == 0, "untranslated"
    assert backward.classifier_scores(forward.domains.a)["translation_accuracy"].value == 1


@pytest.mark.parametrize("count", [20, 40, 80])
def test_scores_of_domains_that_no_classifier_tells_apart_are_missing(count: int, tmp_path: Path) -> None:
    """Two folders of the same noise: the classifier learns its training images by heart and no more."""
    for number, image in enumerate(
        torch.rand(2 * count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ):
        write_image(image, tmp_path / f"root/train{'AB'[number % 2]}/{number}.png")
    for number, image in enumerate(torch.rand(80, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1):
        write_image(image, tmp_path / f"root/test{'AB'[number % 2]}/{number}.png")
    evaluator = TranslationEvaluator(data_of("data=unpaired", f"data.root={tmp_path / 'root'}"), "test")
    score = evaluator.classifier_scores(evaluator.domains.b)["translation_accuracy"]
    assert "of held-out real images, less than 75.0%" in score.missing and "less than 75.0%" in score.protocol
    assert present({"translation_accuracy": score}) == {}
    assert missing_reasons({"translation_accuracy": score}) == {"translation_accuracy": score.missing}


def test_a_classifier_is_checked_by_the_mean_over_classes() -> None:
    score = {"class_consistency": ClassifierScore(0.5, 0.9, "higher", "share")}
    labels = torch.tensor([0] * 90 + [1] * 10)
    assert checked(score, torch.zeros(100), labels, 2)["class_consistency"].missing, "90%, but one answer to all"
    assert not checked(score, labels, labels, 2)["class_consistency"].missing
    assert required_accuracy(2) == 0.75 and required_accuracy(10) == pytest.approx(0.55)
    swapped = {0: 1, 1: 0}
    wrong = torch.tensor([swapped[int(label)] if index % 10 < 3 else label for index, label in enumerate(labels)])
    assert checked(score, wrong, labels, 2)["class_consistency"].missing.startswith(
        "the classifier correctly classifies 70.0%"
    )


def test_with_several_domains_only_the_target_counts() -> None:
    data = DomainScenesDataModule(
        "ink", "photo", size=16, batch_size=8, train_images=20, test_images=8, domains=("photo", "ink", "sketch")
    )
    evaluator = TranslationEvaluator(data, "test")
    assert evaluator.classifier_scores(evaluator.domains.b)["translation_accuracy"].value > 0.8
    assert evaluator.classifier_scores(evaluator.domains.a)["translation_accuracy"].value < 0.2
    sketches = TranslationEvaluator(
        DomainScenesDataModule("sketch", "photo", size=16, train_images=2, test_images=8), "test"
    ).domains.a
    assert evaluator.classifier_scores(sketches)["translation_accuracy"].value < 0.2


@pytest.mark.parametrize("kind", [StyleScenesDataModule, SuperResolutionScenesDataModule])
def test_there_is_no_classifier_metric_without_two_domains_of_one_size(
    kind: Callable[..., StyleScenesDataModule],
) -> None:
    evaluator = TranslationEvaluator(kind(size=16, train_images=2, test_images=2), "test")
    assert evaluator.classifier_scores(evaluator.domains.b) == {}


def test_a_table_has_a_dash_for_a_missing_score() -> None:
    score = ClassifierScore(0.5, 0.9, "higher", "")
    table = scores_table({"generated": {"class_consistency": 0.5}, "training": {}}, {"class_consistency": score})
    assert [line.split() for line in table.splitlines()[1:]] == [["generated", "0.5"], ["training", "–"]]


def test_memorization_needs_enough_held_out_images(glyphs: GlyphsDataModule) -> None:
    few, real = (LabelledImages(torch.rand(5, 1, 16, 16), labels) for labels in (None, torch.arange(5) % 3))
    assert "memorization" not in generation_scores(few, real, glyphs)


def test_training_images_cover_all_classes(glyphs: GlyphsDataModule) -> None:
    labels = torch.cat([batch["label"] for batch in glyphs.training_batches(30)])
    assert len(labels) == 30 and len(labels.unique()) == 3


def test_class_counts_are_those_of_the_training_samples() -> None:
    scenes = LabelledScenesDataModule(["photo", "ink"], size=16, train_images=5)
    for data in (scenes, GlyphsDataModule(["3", "1", "2"], size=16, train_images=20)):
        samples = data.train_samples()
        labels = torch.tensor([int(samples[(0, index)]["label"]) for index in range(data.num_samples)])
        assert torch.equal(data.class_counts(), torch.bincount(labels).double())
    stacks = StackedDigitsDataModule(GlyphsDataModule(["0", "1"], size=16, train_images=3), size=16).class_counts()
    assert torch.equal(stacks, torch.tensor([8.0, 4, 4, 2, 4, 2, 2, 1]).double())


def test_validation_computes_classifier_metrics_on_request(compose_config: Callable[..., DictConfig]) -> None:
    assert compose_config().callbacks.validation.classifier_metrics is False
