"""The classifier, mode coverage, and memorization."""

from collections.abc import Iterator
from math import log
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.data.synthetic.glyphs import GlyphsDataModule
from stylegan_lab.data.synthetic.stacked_digits import StackedDigitsDataModule
from stylegan_lab.evaluation.classifier import classification_accuracy, train_classifier
from stylegan_lab.evaluation.classifier_metrics import modes_covered, predict_stacked, reverse_kl
from stylegan_lab.evaluation.memorization import memorization
from stylegan_lab.images.value_range import to_unit
from tests.refusals import refused


@pytest.fixture(scope="module", autouse=True)
def classifier_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Classifiers are trained once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def glyphs() -> GlyphsDataModule:
    return GlyphsDataModule(classes=["0", "1", "2"], size=16, train_images=300, val_images=300, test_images=300)


def images_and_labels(glyphs: GlyphsDataModule, split: str) -> tuple[Tensor, Tensor]:
    dataset = glyphs.train_samples() if split == "train" else glyphs.held_out(split)
    batches = list(glyphs.batches(dataset))
    return torch.cat([to_unit(each["image"]) for each in batches]), torch.cat([each["label"] for each in batches])


def test_a_classifier_generalizes_to_held_out_images(glyphs: GlyphsDataModule) -> None:
    classifier = train_classifier(*images_and_labels(glyphs, "train"), classes=3)
    held_out, labels = images_and_labels(glyphs, "test")
    assert classifier.accuracy(held_out, labels) > 0.95
    assert classifier.accuracy(held_out, (labels + 1) % 3) < 0.05
    assert classifier.accuracy(torch.zeros_like(held_out), labels) < 0.5


def faint_stripes(per_class: int, seed: int) -> tuple[Tensor, Tensor]:
    """Horizontal and vertical stripes of a small contrast, anywhere, with noise."""
    rng = torch.Generator().manual_seed(seed)
    waves = (torch.arange(32.0) + 7 * torch.rand(2 * per_class, 1, 1, 1, generator=rng)).sin().expand(-1, 3, 32, 32)
    labels = torch.arange(2 * per_class) % 2
    images = torch.where(labels.view(-1, 1, 1, 1) == 0, waves, waves.mT)
    return 0.5 + 0.02 * images + 0.02 * torch.randn(images.shape, generator=rng), labels


@pytest.mark.parametrize("per_class", [20, 40, 80])
def test_few_images_of_classes_that_differ_are_enough(per_class: int) -> None:
    """In so few steps running averages do not settle: with them, half of the held-out images would be read."""
    classifier = train_classifier(*faint_stripes(per_class, 0), classes=2)
    assert classifier.accuracy(*faint_stripes(100, 1)) > 0.95


def test_batch_norms_have_the_statistics_of_all_training_images(glyphs: GlyphsDataModule) -> None:
    images, labels = (each[:40] for each in images_and_labels(glyphs, "train"))
    net = train_classifier(images, labels, 3).net
    seen = net[0](images * 2 - 1)
    torch.testing.assert_close(net[1].running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net[1].running_var, seen.var((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_batch_norms_do_not_depend_on_the_order_of_the_classes() -> None:
    labels = torch.arange(2).repeat_interleave(1100)
    images = (labels.view(-1, 1, 1, 1) * 0.8 + 0.2 * torch.rand(2200, 1, 8, 8)).clamp(0, 1)
    net = train_classifier(images, labels, 2).net
    torch.testing.assert_close(net[1].running_var, net[0](images * 2 - 1).var((0, 2, 3)), rtol=0.05, atol=1e-3)


def test_equal_images_and_seed_give_an_equal_classifier_and_leave_the_random_state(
    glyphs: GlyphsDataModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images, labels = (each[:64] for each in images_and_labels(glyphs, "val"))
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))
    before = torch.get_rng_state()
    one = train_classifier(images, labels, 3)
    cached = train_classifier(images, labels, 3)
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "elsewhere"))
    again, other = train_classifier(images, labels, 3), train_classifier(images, labels, 3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    weights = [
        torch.cat([p.flatten() for p in classifier.net.parameters()]) for classifier in (one, cached, again, other)
    ]
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])
    assert len(list((tmp_path / "cache" / "classifiers").iterdir())) == 1


def test_a_classifier_of_samples_recognizes_real_images_only_if_the_samples_are_right(glyphs: GlyphsDataModule) -> None:
    images, labels = images_and_labels(glyphs, "train")
    real, truth = images_and_labels(glyphs, "test")
    assert classification_accuracy(images, labels, real, truth, 3) > 0.95
    assert classification_accuracy(images, (labels + 1) % 3, real, truth, 3) < 0.05, "labels of something else"
    collapsed = images[:3].repeat(100, 1, 1, 1)
    assert classification_accuracy(collapsed, labels, real, truth, 3) < 0.95, "one image per class"


def test_labels_outside_the_classes_are_an_error() -> None:
    with refused("evaluation.labels_mismatch", "3 classes", "4 images", "from 0 to 3"):
        train_classifier(torch.zeros(4, 1, 8, 8), torch.arange(4), 3)


def test_mode_coverage_and_reverse_kl() -> None:
    every, uniform = torch.arange(1000), torch.ones(1000)
    assert modes_covered(every, 1000) == 1000 and modes_covered(every[:7].repeat(9), 1000) == 7
    assert reverse_kl(every.repeat(3), uniform) == pytest.approx(0, abs=1e-12)
    assert reverse_kl(every[:500], uniform) == pytest.approx(log(2)), "half of the modes"
    assert reverse_kl(every[:1], uniform) == pytest.approx(log(1000)), "one of them"


def test_stacks_are_classified_channel_by_channel(glyphs: GlyphsDataModule) -> None:
    classifier = train_classifier(*images_and_labels(glyphs, "train"), classes=3)
    stacks = StackedDigitsDataModule(glyphs, size=16, train_images=1, test_images=200)
    batches = list(stacks.batches(stacks.held_out("test")))
    images = torch.cat([to_unit(each["image"]) for each in batches])
    labels = torch.cat([each["label"] for each in batches])
    assert (predict_stacked(classifier, images) == labels).float().mean() > 0.85
    assert modes_covered(predict_stacked(classifier, images), 27) == 27
    same = images[:, :1].repeat(1, 3, 1, 1)
    assert modes_covered(predict_stacked(classifier, same), 27) == 3, "gray stacks: 000, 111 and 222"


def test_copies_are_memorized_and_new_images_are_not(glyphs: GlyphsDataModule) -> None:
    (training, _), (held_out, _), (fresh, _) = (images_and_labels(glyphs, split) for split in ("train", "val", "test"))
    share = memorization(fresh, training, held_out)
    assert share < 0.12
    assert memorization(training[:100], training, held_out) == 1
    grained = (training[:100] + 0.02 * torch.randn(training[:100].shape)).clamp(0, 1)
    assert memorization(grained, training, held_out) > 0.95, "copies with noise"
    some = memorization(torch.cat([training[:60], fresh[:240]]), training, held_out)
    assert 0.2 < some < 0.35, "a fifth is copied"
    assert memorization(F.avg_pool2d(fresh, 3, 1, 1), training, held_out) < 0.15, "smooth images are no copies"
    ones = fresh[fresh.sum((1, 2, 3)).argsort()[:60]]
    assert memorization(ones, training, held_out) < 0.15, "images with little ink are close to everything"
