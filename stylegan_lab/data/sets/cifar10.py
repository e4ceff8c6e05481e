"""CIFAR-10 (Krizhevsky, 2009): its binary version, which unlike the usual one is no Python pickle, to folders of classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stylegan_lab.data.sets.class_folders import write_classes
from stylegan_lab.data.sets.extraction import extract
from stylegan_lab.mistake import Mistake

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
RECORD = 1 + 3 * 32 * 32  # a label, then red, green and blue


def arrange(fetched: list[Path], into: Path) -> Path:
    extract(fetched[0], into / "archive")
    for split, pattern in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        batches = sorted((into / "archive").rglob(pattern))
        write_batches(batches, into / "set" / split, f"{fetched[0]} holds no {pattern}")
    return into / "set"


def write_batches(batches: Sequence[Path], folder: Path, otherwise: str = "") -> None:
    """`otherwise` begins the sentence about what is none."""
    records = np.frombuffer(b"".join(batch.read_bytes() for batch in batches), np.uint8)
    if not len(records) or len(records) % RECORD or records[::RECORD].max() >= len(CLASSES):
        says = otherwise or f"{', '.join(map(str, batches))}: no batches"
        raise Mistake(f"{says} as CIFAR-10 has them; delete it and fetch it again")
    records = records.reshape(-1, RECORD)
    pictures = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    write_classes(pictures, records[:, 0], CLASSES, folder)
