"""MNIST's idx files and CIFAR-10's binary batches in data.root are read as folders of classes."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_lab.images.batch import LabelledBatch
from tests.data.folders.photos import batches, data_of
from tests.refusals import refused


@pytest.fixture(autouse=True)
def separate_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))


def idx(path: Path, array: np.ndarray) -> None:
    data = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def digits(root: Path, split: str, each: int, suffix: str = ".gz", first: int = 0) -> None:
    """Images of digit n have brightness 20 n and slightly more."""
    labels = np.tile(np.arange(10, dtype=np.uint8), each)
    light = labels * 20 + first + np.arange(10 * each, dtype=np.uint8) // 10
    idx(root / f"{split}-images-idx3-ubyte{suffix}", np.broadcast_to(light[:, None, None], (10 * each, 28, 28)).copy())
    idx(root / f"{split}-labels-idx1-ubyte{suffix}", labels)


def test_a_single_split_of_mnist_is_split_by_fraction(tmp_path: Path) -> None:
    digits(tmp_path / "set", "t10k", each=10)
    data = data_of("data=mnist", f"data.root={tmp_path / 'set'}", "data.val_fraction=0")
    assert data.batch_type is LabelledBatch and data.num_samples == 90 and len(data.held_out("test")) == 10  # type: ignore[arg-type]
    assert any("only one split of the data set was found: data.val_fraction=0 and data.test_fraction=0.1 of its 100" in note
               for note in data.plan_notes)  # fmt: skip
    for batch in batches(data):
        assert batch["image"].shape == (2, 1, 16, 16)
        assert torch.equal(batch["image"][:, 0, 8, 8] // 20, batch["label"])
    assert data.first_batch("test", 10)["label"].tolist() == list(range(10)), "one of each class first"


def test_mnist_with_three_channels_and_some_of_its_classes(tmp_path: Path) -> None:
    digits(tmp_path / "set", "train", each=4, suffix=""), digits(tmp_path / "set", "t10k", each=2, first=10)
    data = data_of("data=mnist", f"data.root={tmp_path / 'set'}", "data.channels=3", 'data.classes=["7","3"]')
    assert data.num_samples == 8 and len(data.held_out("test")) == 4  # type: ignore[arg-type]
    for batch in batches(data):
        assert batch["image"].shape == (2, 3, 16, 16)
        assert torch.equal(batch["image"][:, 2, 8, 8] // 20, torch.tensor([7, 3])[batch["label"]])
    with refused("config.unknown_choice", "data.classes=11"):
        data_of("data=mnist", f"data.root={tmp_path / 'set'}", 'data.classes=["11"]')


def test_changed_files_are_extracted_again(tmp_path: Path) -> None:
    def brightest() -> int:
        return int(max(batch["image"].max() for batch in batches(data_of("data=mnist", f"data.root={root}"), limit=99)))

    root = tmp_path / "set"
    digits(root, "t10k", each=10, suffix="")
    assert brightest() < 195
    digits(root, "t10k", each=10, suffix="", first=20)
    assert brightest() > 200


def test_cifar10_binary_batches(tmp_path: Path) -> None:
    records = np.zeros((40, 3073), np.uint8)
    records[:, 0] = np.tile(np.arange(10), 4)
    records[:, 1:1025] = records[:, :1] * 20  # red
    (tmp_path / "set" / "cifar-10-batches-bin").mkdir(parents=True)
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        (tmp_path / "set" / "cifar-10-batches-bin" / f"{name}.bin").write_bytes(records.tobytes())
    data = data_of("data=cifar10", f"data.root={tmp_path / 'set'}")
    assert data.num_samples == 80 and len(data.held_out("val")) == 40  # type: ignore[arg-type]
    for batch in batches(data):
        assert torch.equal(batch["image"][:, 0, 8, 8], (batch["label"] * 20).to(torch.uint8))
        assert batch["image"][:, 1:].max() == 0


def test_incomplete_or_invalid_files_are_errors(tmp_path: Path) -> None:
    digits(tmp_path / "set", "train", each=1)
    (tmp_path / "set" / "train-labels-idx1-ubyte.gz").unlink()
    with refused("data.file_missing", "train-labels-idx1-ubyte.gz"):
        data_of("data=mnist", f"data.root={tmp_path / 'set'}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "test_batch.bin").write_bytes(bytes(100))
    with refused("data.file_damaged", "test_batch.bin"):
        data_of("data=cifar10", f"data.root={tmp_path / 'other'}")
