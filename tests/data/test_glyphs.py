"""The embedded digits: the same everywhere, in as many hands as asked for, and neither trivial nor hard to read."""

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.data.glyphs.hand import hand
from stylegan_lab.data.glyphs.shapes import SHAPES
from stylegan_lab.data.glyphs.write import A_HAND, digit, write
from stylegan_lab.data.glyphs_data import FIRST, GlyphsData
from stylegan_lab.data.scenes.noise import blur
from stylegan_lab.data.scenes_data import LabelledScenes
from stylegan_lab.images.batch import Labelled, Plain, serves
from stylegan_lab.mistake import Mistake

# Of glyphs 40 to 59 of world 3, on any machine and Python; a change here changes every score ever taken.
FINGERPRINTS = {16: "45742e56343c9cab", 28: "e6be65ef36f94030", 32: "6405b37761b6b835", 64: "1f4aabd47f6d1757"}


@pytest.mark.parametrize("size", FINGERPRINTS)
def test_scenes_are_the_same_on_every_machine(size: int) -> None:
    written = b"".join(write(3, index, size).tobytes() for index in range(40, 60))
    assert hashlib.sha256(written).hexdigest()[:16] == FINGERPRINTS[size]


def test_every_digit_is_written_whole_at_any_size() -> None:
    for size in (16, 31, 64):
        for index in range(200):
            glyph = write(0, index, size)
            assert glyph.shape == (size, size) and glyph.dtype == np.uint8
            assert glyph.max() > 150 and 0.02 < (glyph > 100).mean() < 0.45, (size, index)
            rim = np.concatenate([glyph[0], glyph[-1], glyph[:, 0], glyph[:, -1]])
            assert (rim > 100).mean() < 0.1, f"glyph {index} runs out of the picture"


def test_a_larger_glyph_shows_the_same() -> None:
    for index in range(20):
        large = write(0, index, 64).reshape(32, 2, 32, 2).mean((1, 3))
        small = write(0, index, 32).astype(float)
        assert np.corrcoef(blur(large, 1).ravel(), blur(small, 1).ravel())[0, 1] > 0.97


def test_hands_differ_and_keep_their_habits() -> None:
    assert len({(hand(0, number).slant, hand(1, number).slant) for number in range(100)}) == 100
    assert hand(0, 5).slant == hand(0, 5).slant != hand(1, 5).slant
    chosen = [hand(0, number).shapes for number in range(200)]
    assert all({shapes[what] for shapes in chosen} == set(SHAPES[what]) for what in range(10)), "every shape is in use"
    own, others = [], []
    for number in range(20):
        glyphs = [torch.from_numpy(write(0, number * A_HAND + 10 * twice, 32)).float() for twice in (0, 1)]
        own.append((glyphs[0] - glyphs[1]).square().mean())
        others.append((glyphs[0] - torch.from_numpy(write(0, (number + 1) * A_HAND, 32)).float()).square().mean())
    assert torch.stack(own).mean() < torch.stack(others).mean()


def test_no_hand_writes_in_two_splits() -> None:
    assert all(first % A_HAND == 0 for first in FIRST.values())
    data = GlyphsData(size=16, train_scenes=40, val_scenes=40, test_scenes=40)
    splits = [data.train_samples(), data.held_out("val"), data.held_out("test")]
    assert len({split[index]["image"].numpy().tobytes() for split in splits for index in range(40)}) == 120


def test_labels_are_places_among_the_classes() -> None:
    data = GlyphsData(classes=["7", "3"], size=16, train_scenes=6, channels=3)
    samples = data.train_samples()
    assert [int(samples[(0, index)]["label"]) for index in range(4)] == [0, 1, 0, 1]
    seven = torch.from_numpy(write(0, 17, 16))
    assert digit(17) == 7 and torch.equal(samples[(1, 2)]["image"], torch.stack([seven] * 3))
    assert data.classes == ["7", "3"] and serves(data.gives, Plain)
    batch = next(iter(data.batches(data.held_out("val"))))
    assert batch["image"].shape == (64, 3, 16, 16) and -1 <= batch["image"].min() < batch["image"].max() <= 1
    assert batch["label"].dtype == torch.int64


def images_and_labels(data: GlyphsData, split: str) -> tuple[Tensor, Tensor]:
    dataset = data.train_samples() if split == "train" else data.held_out(split)
    batches = list(data.batches(dataset))
    return torch.cat([batch["image"] for batch in batches]), torch.cat([batch["label"] for batch in batches])


def test_a_straight_line_between_pixels_does_not_read_them() -> None:
    data = GlyphsData(size=16, train_scenes=3_000, test_scenes=500)
    images, labels = images_and_labels(data, "train")
    reader = nn.Linear(256, 10)
    optimizer = torch.optim.LBFGS(reader.parameters(), max_iter=60)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(reader(images.flatten(1)), labels) + 1e-3 * reader.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    held_out, truth = images_and_labels(data, "test")
    right = (reader(held_out.flatten(1)).argmax(1) == truth).float().mean()
    assert 0.8 < right < 0.97


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"size": 8}, "data.size=8: glyphs are written from 16 to 64"), ({"classes": ["10"]}, "data.classes=10 is unknown"),
     ({"classes": []}, "one or more that differ"), ({"channels": 4}, "data.channels=4"), ({"val_scenes": 0}, "data.val_scenes=0"),
     ({"classes": ["1", "1"]}, "one or more that differ")],
)  # fmt: skip
def test_wrong_settings_are_answered(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(Mistake, match=sentence):
        GlyphsData(**arguments)  # type: ignore[arg-type]


def test_styles_are_classes_and_no_scene_is_painted_twice() -> None:
    data = LabelledScenes(classes=["ink", "photo"], size=16, train_scenes=3, val_scenes=2, test_scenes=2)
    assert data.gives is Labelled and data.classes == ["ink", "photo"]
    samples = data.train_samples()
    assert len(samples) == 6 and [int(samples[(0, index)]["label"]) for index in range(6)] == [0, 1, 0, 1, 0, 1]  # type: ignore[arg-type]
    scenes = [
        domain.first + place
        for split in data._splits.values()
        for domain in split.domains
        for place in range(domain.count)
    ]
    assert len(set(scenes)) == len(scenes) == 14
    alone = LabelledScenes(classes=["oil"], size=16, train_scenes=2).train_samples()
    assert len(alone) == 2 and int(alone[(0, 1)]["label"]) == 0  # type: ignore[arg-type]
    with pytest.raises(Mistake, match="did you mean ukiyoe"):
        LabelledScenes(classes=["ukioe"])
