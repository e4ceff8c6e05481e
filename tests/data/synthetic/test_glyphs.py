"""Procedural digits: identical on all machines, many writers, and neither trivial nor hard to classify."""

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.data.synthetic.glyphs import (
    FIRST_INDEX,
    GLYPHS_PER_WRITER,
    SHAPES,
    GlyphsDataModule,
    digit_glyph,
    draw_glyph,
    handwriting,
)
from stylegan_lab.data.synthetic.scenes.noise import blur
from stylegan_lab.data.synthetic.scenes_datamodule import LabelledScenesDataModule
from stylegan_lab.images.batch import ImageBatch, LabelledBatch, is_compatible
from tests.refusals import refused

# SHA-256 of glyphs 40 to 59 with seed 3. If these change, scores of earlier runs are no longer comparable.
FINGERPRINTS = {16: "45742e56343c9cab", 28: "e6be65ef36f94030", 32: "6405b37761b6b835", 64: "1f4aabd47f6d1757"}


@pytest.mark.parametrize("size", FINGERPRINTS)
def test_glyphs_are_identical_on_all_machines(size: int) -> None:
    written = b"".join(draw_glyph(3, index, size).tobytes() for index in range(40, 60))
    assert hashlib.sha256(written).hexdigest()[:16] == FINGERPRINTS[size]


def test_every_digit_is_complete_at_any_size() -> None:
    for size in (16, 31, 64):
        for index in range(200):
            glyph = draw_glyph(0, index, size)
            assert glyph.shape == (size, size) and glyph.dtype == np.uint8
            assert glyph.max() > 150 and 0.02 < (glyph > 100).mean() < 0.45, (size, index)
            rim = np.concatenate([glyph[0], glyph[-1], glyph[:, 0], glyph[:, -1]])
            assert (rim > 100).mean() < 0.1, f"glyph {index} runs out of the image"


def test_a_larger_glyph_shows_the_same_digit() -> None:
    for index in range(20):
        large = draw_glyph(0, index, 64).reshape(32, 2, 32, 2).mean((1, 3))
        small = draw_glyph(0, index, 32).astype(float)
        assert np.corrcoef(blur(large, 1).ravel(), blur(small, 1).ravel())[0, 1] > 0.97


def test_writers_differ_and_are_consistent() -> None:
    assert len({(handwriting(0, number).slant, handwriting(1, number).slant) for number in range(100)}) == 100
    assert handwriting(0, 5).slant == handwriting(0, 5).slant != handwriting(1, 5).slant
    chosen = [handwriting(0, number).shapes for number in range(200)]
    assert all({shapes[number] for shapes in chosen} == set(SHAPES[number]) for number in range(10)), (
        "every shape is in use"
    )
    own, others = [], []
    for number in range(20):
        glyphs = [
            torch.from_numpy(draw_glyph(0, number * GLYPHS_PER_WRITER + 10 * twice, 32)).float() for twice in (0, 1)
        ]
        own.append((glyphs[0] - glyphs[1]).square().mean())
        others.append(
            (glyphs[0] - torch.from_numpy(draw_glyph(0, (number + 1) * GLYPHS_PER_WRITER, 32)).float()).square().mean()
        )
    assert torch.stack(own).mean() < torch.stack(others).mean()


def test_no_writer_is_in_two_splits() -> None:
    assert all(first % GLYPHS_PER_WRITER == 0 for first in FIRST_INDEX.values())
    data = GlyphsDataModule(size=16, train_images=40, val_images=40, test_images=40)
    splits = [data.train_samples(), data.held_out("val"), data.held_out("test")]
    assert len({split[index]["image"].numpy().tobytes() for split in splits for index in range(40)}) == 120


def test_labels_are_indices_of_classes() -> None:
    data = GlyphsDataModule(classes=["7", "3"], size=16, train_images=6, channels=3)
    samples = data.train_samples()
    assert [int(samples[(0, index)]["label"]) for index in range(4)] == [0, 1, 0, 1]
    seven = torch.from_numpy(draw_glyph(0, 17, 16))
    assert digit_glyph(17) == 7 and torch.equal(samples[(1, 2)]["image"], torch.stack([seven] * 3))
    assert data.classes == ["7", "3"] and is_compatible(data.batch_type, ImageBatch)
    batch = next(iter(data.batches(data.held_out("val"))))
    assert batch["image"].shape == (64, 3, 16, 16) and -1 <= batch["image"].min() < batch["image"].max() <= 1
    assert batch["label"].dtype == torch.int64


def images_and_labels(data: GlyphsDataModule, split: str) -> tuple[Tensor, Tensor]:
    dataset = data.train_samples() if split == "train" else data.held_out(split)
    batches = list(data.batches(dataset))
    return torch.cat([batch["image"] for batch in batches]), torch.cat([batch["label"] for batch in batches])


def test_a_linear_classifier_is_not_perfect() -> None:
    data = GlyphsDataModule(size=16, train_images=3_000, test_images=500)
    images, labels = images_and_labels(data, "train")
    classifier = nn.Linear(256, 10)
    optimizer = torch.optim.LBFGS(classifier.parameters(), max_iter=60)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(classifier(images.flatten(1)), labels) + 1e-3 * classifier.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    held_out, truth = images_and_labels(data, "test")
    accuracy = (classifier(held_out.flatten(1)).argmax(1) == truth).float().mean()
    assert 0.8 < accuracy < 0.97


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [({"size": 8}, "data.size_unsupported", "data.size=8"), ({"classes": ["10"]}, "config.unknown_choice", "data.classes=10"),
     ({"classes": []}, "data.classes_invalid", "data.classes=[]"),
     ({"channels": 4}, "data.channels_unsupported", "data.channels=4"),
     ({"val_images": 0}, "config.too_small", "data.val_images=0"),
     ({"classes": ["1", "1"]}, "data.classes_invalid", "data.classes=['1', '1']")],
)  # fmt: skip
def test_invalid_settings_are_errors(arguments: dict[str, object], code: str, named: str) -> None:
    with refused(code, named):
        GlyphsDataModule(**arguments)  # type: ignore[arg-type]


def test_styles_are_classes_and_no_scene_is_used_twice() -> None:
    data = LabelledScenesDataModule(classes=["ink", "photo"], size=16, train_images=3, val_images=2, test_images=2)
    assert data.batch_type is LabelledBatch and data.classes == ["ink", "photo"]
    samples = data.train_samples()
    assert len(samples) == 6 and [int(samples[(0, index)]["label"]) for index in range(6)] == [0, 1, 0, 1, 0, 1]  # type: ignore[arg-type]
    domains = [domain for split in data.counts for domain in data._disjoint_domains(data.classes, split)]
    scenes = [domain.first + index for domain in domains for index in range(domain.count)]
    assert len(set(scenes)) == len(scenes) == 14
    single = LabelledScenesDataModule(classes=["oil"], size=16, train_images=2).train_samples()
    assert len(single) == 2 and int(single[(0, 1)]["label"]) == 0  # type: ignore[arg-type]
    with refused("config.unknown_choice", "data.classes=ukioe", "ukiyoe"):
        LabelledScenesDataModule(classes=["ukioe"])
