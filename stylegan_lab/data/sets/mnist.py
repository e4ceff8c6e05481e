"""MNIST (LeCun et al., 1998): packed arrays to pictures in folders of classes."""

import struct
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylegan_lab.data.sets.class_folders import write_classes
from stylegan_lab.data.sets.extraction import gunzip
from stylegan_lab.mistake import Mistake

MOST = 64_000_000  # bytes of one array
DIGITS = [str(digit) for digit in range(10)]


def arrange(fetched: list[Path], into: Path) -> Path:
    """From images and labels of train, then of test."""
    for split, images, labels in (("train", fetched[0], fetched[1]), ("test", fetched[2], fetched[3])):
        write_digits(images, labels, into / split)
    return into


def write_digits(images: Path, labels: Path, folder: Path) -> None:
    numbers, classes = read_idx(images), read_idx(labels)
    if numbers.ndim != 3 or classes.shape != numbers.shape[:1] or classes.max(initial=0) > 9:
        raise Mistake(f"{images} and {labels} do not belong together; delete them and fetch them again")
    write_classes(numbers, classes, DIGITS, folder)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The format is two zeros, a type (8: bytes), the number of dimensions, each of them, and the numbers."""
    data = gunzip(path, MOST) if path.suffix == ".gz" else path.read_bytes()
    dimensions = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
    begin = 4 + 4 * dimensions
    shape = struct.unpack_from(f">{dimensions}I", data, 4) if len(data) >= begin else ()
    if not shape or len(data) - begin != prod(shape):
        raise Mistake(f"{path} is no array of bytes; delete it and fetch it again")
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)
