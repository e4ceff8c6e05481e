"""Reads tensors from files of other programs. Pickles are never executed: only tensors and plain values are loaded."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegan_lab.errors import UserError

MAX_DEPTH = 4  # of dicts in dicts
DISTRIBUTED = "module."  # what DataParallel and DistributedDataParallel put before every name
COMPILED = "_orig_mod."
ADVICE = (
    "in the program that wrote it, save the generator's state_dict: torch.save(generator.state_dict(), 'generator.pth')"
)


def read_weights_file(path: Path) -> Mapping[str, Any]:
    """The contents of a .safetensors file, or of a file that torch.save wrote, on the CPU."""
    if not path.is_file():
        raise UserError(f"{path} is not a file; give a file of weights, such as latest_net_G.pth")
    contents = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    if isinstance(contents, Tensor) or not isinstance(contents, Mapping):
        raise UserError(f"{path} holds a {type(contents).__name__}, not a dict of tensors; {ADVICE}")
    return contents


def state_dicts(contents: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """Every dict of tensors below, by the path of its keys, the outermost first. The tensors are in float32."""
    return dict(_state_dicts(contents, "", 0))


def split_by_prefix(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The networks of a state dict that holds several, by the first part of their names."""
    networks: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        first, dot, rest = name.partition(".")
        if dot and not first.isdigit():
            networks.setdefault(first, {})[rest] = tensor
    return networks


def _state_dicts(contents: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    tensors = {str(name): value for name, value in contents.items() if isinstance(value, Tensor)}
    if tensors:
        yield path, {name: _to_float32(name, value) for name, value in _without_wrappers(tensors).items()}
    for name, value in contents.items():
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from _state_dicts(value, f"{path}.{name}".lstrip("."), depth + 1)


def _without_wrappers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in (DISTRIBUTED, COMPILED, DISTRIBUTED):
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def _to_float32(name: str, tensor: Tensor) -> Tensor:
    if tensor.is_sparse or tensor.is_quantized:
        raise UserError(f"{name} is a {'sparse' if tensor.is_sparse else 'quantized'} tensor; a dense one is expected")
    return tensor.detach().float().contiguous() if tensor.is_floating_point() else tensor.detach()


def _is_safetensors(path: Path) -> bool:
    """By its suffix, or by its beginning: the length of a JSON header, and the header."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on storages of old files
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: the file may hold anything
        raise UserError(
            f"{path} is not imported: it is damaged, or holds more than tensors and plain values, such as a pickled network, "
            f"which could run any code; {ADVICE}"
        ) from error
