"""Reads MNIST, CIFAR-10 and Oxford flowers 102 in their original formats, and writes them as one folder of images per class."""

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_lab.console import report_progress
from stylegan_lab.data.download.extraction import ExtractionLimits, extract, gunzip, partial_folder
from stylegan_lab.errors import UserError
from stylegan_lab.files.download import cache_dir
from stylegan_lab.files.file_lock import file_lock


def write_class_folders(images: NDArray[np.uint8], labels: NDArray[np.uint8], names: list[str], folder: Path) -> None:
    """Write images (N, H, W) or (N, H, W, 3) as PNG files, in one folder per class. Each file is named after the index of its
    image."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with report_progress(f"writing {folder.name}", len(images), in_bytes=False) as advance:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(folder / names[label] / f"{number:05d}.png", compress_level=1)
            advance(1)


CIFAR10_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CIFAR10_RECORD_SIZE = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes


def arrange_cifar10(files: list[Path], into: Path, limits: ExtractionLimits = ExtractionLimits()) -> Path:  # noqa: B008
    extract(files[0], into / "archive", limits)
    for split, pattern in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        batches = sorted((into / "archive").rglob(pattern))
        write_batches(batches, into / "set" / split, f"{files[0]} holds no {pattern}")
    return into / "set"


def write_batches(batches: Sequence[Path], folder: Path, error_prefix: str = "") -> None:
    """Write CIFAR-10's binary batches. `error_prefix` begins the error message if they are invalid."""
    records = np.frombuffer(b"".join(batch.read_bytes() for batch in batches), np.uint8)
    complete = len(records) and len(records) % CIFAR10_RECORD_SIZE == 0
    if not complete or records[::CIFAR10_RECORD_SIZE].max() >= len(CIFAR10_CLASSES):
        prefix = error_prefix or f"{', '.join(map(str, batches))}: not valid"
        raise UserError("data.file_damaged", f"{prefix} in CIFAR-10's binary format; delete it and download it again")
    records = records.reshape(-1, CIFAR10_RECORD_SIZE)
    images = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    write_class_folders(images, records[:, 0], CIFAR10_CLASSES, folder)


MAT_MAX_ELEMENTS = 1 << 24  # bytes of one array
MAT_MATRIX, MAT_COMPRESSED = 14, 15
MAT_NUMBER_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


def read_mat(path: Path) -> dict[str, list[int]]:
    """Return the integer arrays of a MATLAB level 5 file by name, flattened. Only the features that labels and splits need are
    supported."""
    data = path.read_bytes()
    arrays: dict[str, list[int]] = {}
    try:
        if data[126:128] != b"IM":
            raise ValueError("it has an unsupported version")
        for kind, content in _mat_elements(data[128:]):
            if kind == MAT_COMPRESSED:
                kind, content = next(_mat_elements(zlib.decompressobj().decompress(content, MAT_MAX_ELEMENTS)))
            if kind == MAT_MATRIX:
                _flags, _shape, (_, name), numbers = _mat_elements(content)
                number_type = f"<{MAT_NUMBER_TYPES[numbers[0]]}"
                arrays[name.decode()] = np.frombuffer(numbers[1], number_type).astype(int).tolist()
    except (ValueError, KeyError, StopIteration, struct.error, zlib.error) as error:
        raise UserError(
            "data.file_damaged", f"{path} cannot be read as labels ({error}); delete it and download it again"
        ) from None
    return arrays


def _mat_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, content) of each element: a type, a length, and bytes padded to a multiple of 8. Up to four bytes are stored within
    the tag."""
    at = 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind >> 16:
            kind, length = kind & 0xFFFF, kind >> 16
            yield kind, data[at + 4 : at + 4 + length]
            at += 8
        else:
            yield kind, data[at + 8 : at + 8 + length]
            at += 8 + length + (-length % 8 if kind != MAT_COMPRESSED else 0)


def arrange_flowers(files: list[Path], into: Path, limits: ExtractionLimits = ExtractionLimits()) -> Path:  # noqa: B008
    """Extract the images of Oxford flowers 102 and sort them into one folder per class in each official split."""
    archive, labels, splits = files
    extract(archive, into / "archive", limits)
    classes, numbers = read_mat(labels)["labels"], read_mat(splits)
    for split, name in (("train", "trnid"), ("val", "valid"), ("test", "tstid")):
        for number in numbers[name]:
            image = into / "archive" / "jpg" / f"image_{number:05d}.jpg"
            target = into / "set" / split / f"{classes[number - 1]:03d}" / image.name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                image.rename(target)
            except FileNotFoundError:
                raise UserError(
                    "download.archive_damaged", f"{archive} lacks jpg/{image.name}; delete it and download it again"
                ) from None
    return into / "set"


IDX_MAX_BYTES = 64_000_000  # bytes of one array


def arrange_mnist(files: list[Path], into: Path, _: object = None) -> Path:
    """Write MNIST as folders of classes. `files` are the images and labels of the training set, then those of the test set."""
    for split, images, labels in (("train", files[0], files[1]), ("test", files[2], files[3])):
        write_digits(images, labels, into / split)
    return into


def write_digits(images: Path, labels: Path, folder: Path) -> None:
    numbers, classes = read_idx(images), read_idx(labels)
    if numbers.ndim != 3 or classes.shape != numbers.shape[:1] or classes.max(initial=0) > 9:
        raise UserError(
            "data.labels_mismatch", f"{images} and {labels} do not belong together; delete them and download them again"
        )
    write_class_folders(numbers, classes, [str(digit) for digit in range(10)], folder)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of an idx file. The file has two zero bytes, a type (8: bytes), the number of dimensions, the dimensions,
    and the data."""
    data = gunzip(path, IDX_MAX_BYTES) if path.suffix == ".gz" else path.read_bytes()
    dimensions = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
    begin = 4 + 4 * dimensions
    shape = struct.unpack_from(f">{dimensions}I", data, 4) if len(data) >= begin else ()
    if not shape or len(data) - begin != prod(shape):
        raise UserError("data.file_damaged", f"{path} is not an idx array of bytes; delete it and download it again")
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


IDX_NAME = re.compile(r"(train|t10k|test)-(images|labels)[.-]idx[13]-ubyte(\.gz)?")
CIFAR10_NAME = re.compile(r"(data|test)_batch(_\d+)?\.bin")
WriteSplit = Callable[[Path], None]  # writes a split into a folder


def unpack_known_formats(root: Path) -> Path:
    """Return the root itself, or, if it contains files of MNIST or CIFAR-10, a cached folder of classes extracted from them.

    If the files contain only one split, the cached folder has no subfolders for splits.
    """
    files = _packed_files(root)
    if not files:
        return root
    splits = _mnist_splits(files, root) if IDX_NAME.fullmatch(files[0].name) else _cifar10_splits(files)
    target = cache_dir() / "classes" / _cache_name(files)
    target.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(target):
        if not target.exists():
            with partial_folder(target) as folder:
                for split, write in splits.items():
                    write(folder / split if len(splits) > 1 else folder)
                folder.replace(target)
    return target


def _packed_files(root: Path) -> list[Path]:
    """MNIST or CIFAR-10 files in the root, or in a subfolder such as cifar-10-batches-bin."""
    if not root.is_dir():
        return []
    files = sorted([*root.glob("*-ubyte*"), *root.glob("*.bin"), *root.glob("*/*.bin")])
    return [path for path in files if IDX_NAME.fullmatch(path.name) or CIFAR10_NAME.fullmatch(path.name)]


def _mnist_splits(files: list[Path], root: Path) -> Mapping[str, WriteSplit]:
    named = {match.group(1, 2): path for path in files if (match := IDX_NAME.fullmatch(path.name))}
    splits: dict[str, WriteSplit] = {}
    for split in sorted({split for split, _ in named}):
        if missing := [kind for kind in ("images", "labels") if (split, kind) not in named]:
            raise UserError(
                "data.file_missing",
                f"{root} has no {split}-{missing[0]}-idx{1 if missing == ['labels'] else 3}-ubyte.gz; download it again",
            )
        write = partial(write_digits, named[split, "images"], named[split, "labels"])
        splits["train" if split == "train" else "test"] = write
    return splits


def _cifar10_splits(files: list[Path]) -> Mapping[str, WriteSplit]:
    test = [path for path in files if path.name.startswith("test")]
    splits = {"train": [path for path in files if path not in test], "test": test}
    return {split: partial(write_batches, paths) for split, paths in splits.items() if paths}


def _cache_name(files: list[Path]) -> str:
    """A folder name that changes whenever one of the files does."""
    stats = [(str(path.absolute()), path.stat()) for path in files]
    stamps = [(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats]
    return f"{files[0].absolute().parent.name}-{hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]}"
