"""MATLAB's level 5 files, as far as lists of whole numbers go: enough for labels and splits."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stylegan_lab.mistake import Mistake

HEADER = 128
MOST = 1 << 24  # bytes of an array
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


def read_mat(path: Path) -> dict[str, list[int]]:
    """Its arrays by name, each flattened."""
    data = path.read_bytes()
    arrays: dict[str, list[int]] = {}
    try:
        if data[126:128] != b"IM":
            raise ValueError("it is of another version")
        for kind, content in _elements(data[HEADER:]):
            if kind == COMPRESSED:
                kind, content = next(_elements(zlib.decompressobj().decompress(content, MOST)))
            if kind == MATRIX:
                _flags, _shape, (_, name), numbers = _elements(content)
                arrays[name.decode()] = np.frombuffer(numbers[1], f"<{NUMBERS[numbers[0]]}").astype(int).tolist()
    except (ValueError, KeyError, StopIteration, struct.error, zlib.error) as error:
        raise Mistake(f"{path} cannot be read as labels ({error}); delete it and fetch it again") from None
    return arrays


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each is a type, a length and its bytes, filled up to eights; up to four bytes stand within the tag."""
    at = 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind >> 16:
            kind, length = kind & 0xFFFF, kind >> 16
            yield kind, data[at + 4 : at + 4 + length]
            at += 8
        else:
            yield kind, data[at + 8 : at + 8 + length]
            at += 8 + length + (-length % 8 if kind != COMPRESSED else 0)
