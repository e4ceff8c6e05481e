"""Finds the state dicts in files that other programs have saved, and the networks in a state dict."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from stylegan_lab.errors import UserError

MAX_DEPTH = 4  # of dicts in dicts
DISTRIBUTED = "module."  # what DataParallel and DistributedDataParallel put before every name
COMPILED = "_orig_mod."


def state_dicts(contents: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """Return every dict of tensors in `contents`, down to the depth MAX_DEPTH, keyed by its dotted path. A dict comes before the
    dicts that it contains. The tensors are converted to float32."""
    return dict(_state_dicts(contents, "", 0))


def split_by_prefix(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Split a state dict of several networks into one per network, keyed by the first part of the parameter names."""
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
        raise UserError(
            "import.not_dense",
            f"{name} is a {'sparse' if tensor.is_sparse else 'quantized'} tensor; only dense tensors are supported",
        )
    return tensor.detach().float().contiguous() if tensor.is_floating_point() else tensor.detach()
