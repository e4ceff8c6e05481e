"""Reads files of weights. Pickles are never executed: only tensors and plain values are loaded."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegan_lab.errors import UserError

ADVICE = "in the program that wrote it, save the network's state_dict: torch.save(network.state_dict(), 'network.pth')"
MAGIC = {b"\x93NUMPY": "a NumPy array", b"\x89HDF\r\n": "an HDF5 file, such as Keras writes"}


def read_weights_file(path: Path) -> Mapping[str, Any]:
    """Return the contents of a .safetensors or .npz file, or of a file that torch.save wrote. Tensors are on the CPU."""
    if not path.is_file():
        raise UserError(
            "weights.not_found",
            f"{path} is not a file; give a file of weights (.safetensors, .npz, or a file that torch.save wrote)",
        )
    with path.open("rb") as file:
        start = file.read(9)
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            raise UserError(
                "weights.unknown_format",
                f"{path} cannot be read as weights: it is {kind}; give .safetensors, .npz or a file that torch.save wrote",
            )
    if path.suffix == ".npz":
        return _read_npz(path)
    # a safetensors file begins with the length of a JSON header, and the header
    is_safetensors = path.suffix == ".safetensors" or start[8:] == b"{"
    contents = _read_safetensors(path) if is_safetensors else _read_torch(path)
    if isinstance(contents, Tensor) or not isinstance(contents, Mapping):
        raise UserError(
            "weights.no_tensors",
            f"{path} cannot be read as weights: it holds a {type(contents).__name__}, not a dict of tensors; {ADVICE}",
        )
    return contents


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError  # imported here: few runs need it
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            "weights.unreadable",
            f"{path} cannot be read as weights: it is not a safetensors file, or it is damaged: {error}",
        ) from error


def _read_npz(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except Exception as error:  # zipfile, NumPy and torch raise many kinds
        raise UserError(
            "weights.unreadable",
            f"{path} cannot be read as weights: it is damaged, or contains objects other than arrays of numbers",
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on storages of old files
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: the file may hold anything
        raise UserError(
            "weights.unreadable",
            f"{path} cannot be read as weights: it is damaged, or holds more than tensors and plain values, such as a "
            f"pickled network, which could run any code; {ADVICE}",
        ) from error
