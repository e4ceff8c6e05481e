"""Marks: what a classifier reads in a run's pictures, beside what it reads in real ones."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from stylegan_lab.cli.evaluate import table
from stylegan_lab.data.glyphs_data import GlyphsData
from stylegan_lab.data.scenes_data import (
    DomainsOfScenes,
    LabelledScenes,
    PairedScenes,
    ScenesData,
    ShrunkenScenes,
    StyledScenes,
)
from stylegan_lab.data.stacked import StackedDigits
from stylegan_lab.exam import GenerationExam, TranslationExam
from stylegan_lab.images.write import write_picture
from stylegan_lab.marks import BETTER, NEEDS, Crowd, Mark, given_to_generation, given_to_translation, of_generation
from tests.data.folders.photos import data_of


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def glyphs() -> GlyphsData:
    return GlyphsData(["0", "1", "2"], size=16, train_scenes=300, val_scenes=150, test_scenes=150)


def values(marks: dict[str, Mark]) -> dict[str, float]:
    return {name: mark.value for name, mark in marks.items()}


def test_pictures_of_the_right_class_get_full_marks(glyphs: GlyphsData) -> None:
    exam, other = (GenerationExam(glyphs, split, on_request=True) for split in ("test", "val"))
    marks = exam.marks(other.real)
    assert marks["class_consistency"].value > 0.9 and marks["class_consistency"].held_out > 0.9
    assert marks["classification_accuracy"].value > 0.8
    assert marks["modes_covered"].value == marks["modes_covered"].held_out == 3
    assert marks["modes_kl"].value < 0.02 and marks["memorised"].value < 0.15
    assert "300 training pictures" in marks["class_consistency"].protocol


def test_wrong_classes_copies_and_collapse_do_not(glyphs: GlyphsData) -> None:
    exam = GenerationExam(glyphs, "test", on_request=True)
    swapped = exam.marks(exam.real[:].roll(1, 0))
    assert swapped["class_consistency"].value < 0.1 and swapped["classification_accuracy"].value < 0.1
    training = torch.stack([glyphs.train_samples()[(0, index)]["image"] for index in range(150)]).float() / 255
    assert exam.marks(training)["memorised"].value == 1
    collapsed = exam.marks(exam.real[:1].expand(exam.real.shape))
    assert collapsed["modes_covered"].value == 1 and collapsed["modes_kl"].value > 1


def test_copies_are_found_however_the_training_changed_its_pictures(tmp_path: Path) -> None:
    for number, picture in enumerate(torch.rand(60, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1):
        write_picture(picture, tmp_path / "root" / f"{number}.png")
    data = data_of("data=flat", f"data.root={tmp_path / 'root'}", "augment=flip", "data.test_share=0.4")
    exam = GenerationExam(data, "test", count=30)
    assert exam.marks(exam.references()["training"])["memorised"].value == 1
    assert exam.marks(torch.rand(30, 3, 16, 16))["memorised"].value < 0.3


def test_without_classes_on_request_only_modes_are_counted(glyphs: GlyphsData) -> None:
    exam = GenerationExam(glyphs, "test", count=70)
    assert {*exam.marks(torch.rand(70, 1, 16, 16))} == {"modes_covered", "modes_kl", "memorised"}


def test_marks_are_those_promised(glyphs: GlyphsData) -> None:
    for on_request in (True, False):
        given = GenerationExam(glyphs, "val", on_request=on_request).marks(torch.rand(150, 1, 16, 16))
        assert given_to_generation(glyphs, on_request, 150) == {*given} and {*given} <= {*BETTER}
        assert all(mark.better == BETTER[name] for name, mark in given.items())
    assert "memorised" not in given_to_generation(glyphs, False, 5)
    few = {"size": 16, "train_scenes": 2, "test_scenes": 2}
    read: dict[type[ScenesData], bool] = {
        PairedScenes: True,
        DomainsOfScenes: True,
        StyledScenes: False,
        ShrunkenScenes: False,
    }
    for kind, is_read in read.items():
        data = kind(**few)
        exam = TranslationExam(data, "test")
        assert (
            given_to_translation(data)
            == {*exam.marks(exam.domains.b)}
            == ({"translation_accuracy"} if is_read else set())
        )
    assert NEEDS.keys() == BETTER.keys()


def test_stacked_digits_are_read_one_by_one(glyphs: GlyphsData) -> None:
    data = StackedDigits(glyphs, size=16, batch_size=64, train_stacks=100, test_stacks=300)
    exam = GenerationExam(data, "test")
    marks = exam.marks(exam.real)
    assert marks.keys() == given_to_generation(data, False, 300) == {"modes_covered", "modes_kl"}
    assert marks["modes_covered"].value == 27 and "of 27 classes" in marks["modes_covered"].protocol
    assert marks["modes_kl"].held_out < 0.08, "their shares are known, however few stacks are looked at"
    assert exam.marks(exam.real[:][:, :1].expand(exam.real.shape))["modes_covered"].value == 3


def test_any_labelled_data_serve() -> None:
    data = LabelledScenes(["photo", "ink"], size=16, train_scenes=40, test_scenes=12)
    exam = GenerationExam(data, "test", on_request=True)
    assert exam.asked is not None and exam.marks(exam.real)["class_consistency"].value > 0.9


def test_a_translation_is_read_as_the_domain_it_aims_at() -> None:
    data = PairedScenes(size=16, train_scenes=40, test_scenes=8, batch_size=8)
    there, back = TranslationExam(data, "test", "a2b"), TranslationExam(data, "test", "b2a")
    assert there.marks(there.domains.b)["translation_accuracy"].value == 1
    assert there.marks(there.domains.a)["translation_accuracy"].value == 0, "untranslated"
    assert back.marks(there.domains.a)["translation_accuracy"].value == 1


def test_among_many_domains_only_the_one_aimed_at_counts() -> None:
    data = DomainsOfScenes("ink", "photo", 16, 3, 8, train_scenes=20, test_scenes=8, domains=("photo", "ink", "sketch"))
    exam = TranslationExam(data, "test")
    assert exam.marks(exam.domains.b)["translation_accuracy"].value > 0.8
    assert exam.marks(exam.domains.a)["translation_accuracy"].value < 0.2
    sketches = TranslationExam(DomainsOfScenes("sketch", "photo", 16, train_scenes=2, test_scenes=8), "test").domains.a
    assert exam.marks(sketches)["translation_accuracy"].value < 0.2


@pytest.mark.parametrize("kind", [StyledScenes, ShrunkenScenes])
def test_where_no_domain_can_be_read_there_is_no_mark(kind: Callable[..., StyledScenes]) -> None:
    exam = TranslationExam(kind(size=16, train_scenes=2, test_scenes=2), "test")
    assert exam.marks(exam.domains.b) == {}


def test_a_table_has_a_dash_where_there_is_no_score() -> None:
    mark = Mark(0.5, 0.9, "higher", "")
    shown = table({"generated": {"class_consistency": 0.5}, "training": {}}, {"class_consistency": mark})
    assert [line.split() for line in shown.splitlines()[1:]] == [["generated", "0.5"], ["training", "–"]]


def test_few_held_out_pictures_say_nothing_of_memorising(glyphs: GlyphsData) -> None:
    few = Crowd(torch.rand(5, 1, 16, 16), None)
    assert "memorised" not in of_generation(few, few, glyphs)


def test_training_pictures_are_of_many_classes(glyphs: GlyphsData) -> None:
    labels = torch.cat([batch["label"] for batch in glyphs.training_batches(30)])
    assert len(labels) == 30 and len(labels.unique()) == 3


def test_classes_are_counted_as_the_training_shows_them() -> None:
    scenes = LabelledScenes(["photo", "ink"], size=16, train_scenes=5)
    for data in (scenes, GlyphsData(["3", "1", "2"], size=16, train_scenes=20)):
        samples = data.train_samples()
        labels = torch.tensor([int(samples[(0, index)]["label"]) for index in range(data.samples)])
        assert torch.equal(data.class_counts(), torch.bincount(labels).double())
    stacks = StackedDigits(GlyphsData(["0", "1"], size=16, train_scenes=3), size=16).class_counts()
    assert torch.equal(stacks, torch.tensor([8.0, 4, 4, 2, 4, 2, 2, 1]).double())


def test_scoring_takes_marks_on_request(composed: Callable[..., DictConfig]) -> None:
    assert composed().callbacks.scoring.marks is False
