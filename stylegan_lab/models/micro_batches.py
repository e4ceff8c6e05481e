"""Micro-batches: the equal parts that a batch is split into where it does not fit into memory. `BaseModel.optimize` computes
the losses of one after the other and adds their gradients.

Part i of n takes every n-th row from row i on. The groups of images for minibatch standard deviation are spread over the batch in
the same way, so each group stays within one part.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from stylegan_lab.errors import UserError
from stylegan_lab.losses.losses import Losses


class SharedForward:
    """A forward pass whose result several losses use.

    `BaseModel.shared` creates it, and `optimize` passes its result to the loss functions. A whole batch is computed once, with
    gradients. Micro-batches are computed once without gradients, and again with gradients for each loss function that needs
    them. `detached` is the result for the whole batch without gradients.
    """

    def __init__(self, compute: Callable[[int], Any], micro_batches: int) -> None:
        self.micro_batches, self._compute = micro_batches, compute
        if micro_batches == 1:
            self._whole = compute(0)
            self.detached = tree_map_only(Tensor, Tensor.detach, self._whole)
        else:
            with torch.no_grad():
                self.detached = merge([compute(index) for index in range(micro_batches)])

    def part(self, index: int) -> Any:
        """Return the result for a micro-batch, with its graph."""
        return self._whole if self.micro_batches == 1 else self._compute(index)


def num_rows(arguments: Any) -> int:
    """Return the number of samples: the length of the first tensor in the arguments that is not a scalar."""
    tensors = [each for each in tree_leaves(arguments) if isinstance(each, Tensor) and each.dim() > 0]
    return len(tensors[0]) if tensors else 0


def num_micro_batches(arguments: Any, wanted: int) -> int:
    """Return the number of equal parts to split into: `wanted`, or the largest divisor of it that the samples allow."""
    shared = [each for each in tree_leaves(arguments) if isinstance(each, SharedForward)]
    return shared[0].micro_batches if shared else math.gcd(num_rows(arguments) or 1, wanted)


def micro_batch(arguments: Any, index: int, count: int) -> Any:
    """Return part `index` of `count` of the arguments. Tensors and lists with a value per sample are split; all other arguments
    are passed to every part."""
    return arguments if count == 1 else _part(arguments, num_rows(arguments), index, count)


def resolve_shared(arguments: Any, index: int) -> Any:
    """Replace each `SharedForward` in the arguments by its result for micro-batch `index`."""
    return tuple(each.part(index) if isinstance(each, SharedForward) else each for each in arguments)


def _part(value: Any, rows: int, index: int, count: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _part(each, rows, index, count) for name, each in value.items()}
    if isinstance(value, Tensor):
        if value.dim() == 0 or len(value) != rows:
            return value
        if value.requires_grad:
            raise UserError(
                "model.tensor_not_splittable",
                "micro_batches: a tensor that was computed with gradients before `optimize` cannot be split; compute it "
                "inside the loss function, or with self.shared(function, ...)",
            )
        return value[index::count]
    if isinstance(value, list) and len(value) == rows and not any(isinstance(each, Tensor) for each in value):
        return value[index::count]
    if isinstance(value, list | tuple):
        parts = [_part(each, rows, index, count) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def merge(parts: Sequence[Any]) -> Any:
    """Merge the results of all parts, which is the inverse of `micro_batch`. Values that are not per sample are taken from the
    first part."""
    first = parts[0]
    if len(parts) == 1 or first is None:
        return first
    if isinstance(first, Tensor):
        return torch.stack(list(parts), dim=1).flatten(0, 1) if first.dim() > 0 else first
    if isinstance(first, Mapping):
        return {name: merge([part[name] for part in parts]) for name in first}
    if isinstance(first, list | tuple):
        merged = [merge(each) for each in zip(*parts, strict=True)]
        return type(first)(*merged) if hasattr(first, "_fields") else type(first)(merged)
    return first


def merge_losses(parts: Sequence[Losses]) -> Losses:
    """Merge the losses of all micro-batches: losses, which are already divided by the number of micro-batches, are summed, and
    scalar statistics are averaged."""
    if len(parts) == 1:
        return parts[0]
    losses = {name: torch.stack([each.losses[name] for each in parts]).sum() for name in parts[0].losses}
    stats = {name: _merge_stat([each.stats[name] for each in parts]) for name in parts[0].stats}
    return Losses(losses, stats, merge([each.outputs for each in parts]))


def _merge_stat(stats: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(stats)).mean(dim=0) if stats[0].dim() == 0 else merge(stats)
