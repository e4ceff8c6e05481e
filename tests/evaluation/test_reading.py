"""What a classifier reads in pictures, how many modes it meets, and whether pictures were learnt by heart."""

from collections.abc import Iterator
from math import log
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.data.glyphs_data import GlyphsData
from stylegan_lab.data.stacked import StackedDigits
from stylegan_lab.evaluation.classifier import classification_accuracy, classifier
from stylegan_lab.evaluation.memorising import memorised
from stylegan_lab.evaluation.modes import entropy, modes_covered, read_stacked, reverse_kl
from stylegan_lab.images.convert import to_unit
from stylegan_lab.mistake import Mistake

Crowd = tuple[Tensor, Tensor]


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Classifiers are trained once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def glyphs() -> GlyphsData:
    return GlyphsData(classes=["0", "1", "2"], size=16, train_scenes=300, val_scenes=300, test_scenes=300)


def crowd(glyphs: GlyphsData, split: str) -> Crowd:
    dataset = glyphs.train_samples() if split == "train" else glyphs.held_out(split)
    batches = list(glyphs.batches(dataset))
    return torch.cat([to_unit(each["image"]) for each in batches]), torch.cat([each["label"] for each in batches])


def test_a_classifier_reads_what_it_has_not_seen(glyphs: GlyphsData) -> None:
    reader = classifier(*crowd(glyphs, "train"), classes=3)
    held_out, truth = crowd(glyphs, "test")
    assert reader.share_read_as(held_out, truth) > 0.95
    assert reader.share_read_as(held_out, (truth + 1) % 3) < 0.05
    assert reader.share_read_as(torch.zeros_like(held_out), truth) < 0.5


def test_equal_pictures_and_seed_give_an_equal_classifier_and_no_draw_is_spent(
    glyphs: GlyphsData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images, labels = (each[:64] for each in crowd(glyphs, "val"))
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))
    before = torch.get_rng_state()
    one = classifier(images, labels, 3)
    kept = classifier(images, labels, 3)
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "elsewhere"))
    again, other = classifier(images, labels, 3), classifier(images, labels, 3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    weights = [torch.cat([p.flatten() for p in reader.net.parameters()]) for reader in (one, kept, again, other)]
    assert torch.equal(weights[0], weights[1]) and torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])
    assert len(list((tmp_path / "cache" / "classifiers").iterdir())) == 1


def test_a_classifier_of_samples_reads_the_real_only_if_samples_are_right(glyphs: GlyphsData) -> None:
    images, labels = crowd(glyphs, "train")
    real, truth = crowd(glyphs, "test")
    assert classification_accuracy(images, labels, real, truth, 3) > 0.95
    assert classification_accuracy(images, (labels + 1) % 3, real, truth, 3) < 0.05, "labels of something else"
    collapsed = images[:3].repeat(100, 1, 1, 1)
    assert classification_accuracy(collapsed, labels, real, truth, 3) < 0.95, "one picture a class"


def test_labels_that_are_no_classes_are_told() -> None:
    with pytest.raises(Mistake, match="4 pictures and 4 labels up to 3 for 3 classes"):
        classifier(torch.zeros(4, 1, 8, 8), torch.arange(4), 3)


def test_modes() -> None:
    every = torch.arange(1000)
    assert modes_covered(every, 1000) == 1000 and modes_covered(every[:7].repeat(9), 1000) == 7
    assert reverse_kl(every.repeat(3), every, 1000) == pytest.approx(0, abs=1e-12)
    assert reverse_kl(every[:500], every, 1000) == pytest.approx(log(2)), "half of the modes"
    assert reverse_kl(every[:1], every, 1000) == pytest.approx(log(1000)), "one of them"
    assert entropy(every, 1000) == pytest.approx(log(1000)) and entropy(every[:1].repeat(5), 1000) == 0


def test_stacks_are_read_colour_by_colour(glyphs: GlyphsData) -> None:
    reader = classifier(*crowd(glyphs, "train"), classes=3)
    stacks = StackedDigits(glyphs, size=16, train_stacks=1, test_stacks=200)
    batches = list(stacks.batches(stacks.held_out("test")))
    images = torch.cat([to_unit(each["image"]) for each in batches])
    labels = torch.cat([each["label"] for each in batches])
    assert (read_stacked(reader, images) == labels).float().mean() > 0.85
    assert modes_covered(read_stacked(reader, images), 27) == 27
    same = images[:, :1].repeat(1, 3, 1, 1)
    assert modes_covered(read_stacked(reader, same), 27) == 3, "gray stacks: 000, 111 and 222"


def test_copies_are_memorised_and_fresh_pictures_are_not(glyphs: GlyphsData) -> None:
    (training, _), (held_out, _), (fresh, _) = (crowd(glyphs, split) for split in ("train", "val", "test"))
    share = memorised(fresh, training, held_out)
    assert share < 0.12
    assert memorised(training[:100], training, held_out) == 1
    grained = (training[:100] + 0.02 * torch.randn(training[:100].shape)).clamp(0, 1)
    assert memorised(grained, training, held_out) > 0.95, "copies that were tampered with"
    some = memorised(torch.cat([training[:60], fresh[:240]]), training, held_out)
    assert 0.2 < some < 0.35, "a fifth is copied"
    assert memorised(F.avg_pool2d(fresh, 3, 1, 1), training, held_out) < 0.15, "smooth ones are none"
    ones = fresh[fresh.sum((1, 2, 3)).argsort()[:60]]
    assert memorised(ones, training, held_out) < 0.15, "what has little ink is near to everything"
    assert memorised(fresh, training, held_out, lambda images: images.mean((1, 2, 3))[:, None]) < 0.2
