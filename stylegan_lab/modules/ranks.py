"""Ranks: what the processes of one training tell each other beside gradients."""

from typing import Any, TypeVar

import torch
import torch.distributed as dist

Value = TypeVar("Value")


def rank() -> int:
    return dist.get_rank() if _many() else 0


def gathered(value: Value) -> list[Value]:
    """The value of every rank, in their order, on the first; every rank must ask."""
    if not _many():
        return [value]
    values: list[Any] | None = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(value, values)
    return values or []


def own(values: list[Value]) -> Value:
    """This rank's part of what was gathered, perhaps when there were fewer ranks."""
    return values[rank() % len(values)]


def largest(value: int, device: torch.device) -> int:
    """The largest value of any rank, known to all; every rank must ask."""
    if not _many():
        return value
    shared = torch.tensor(value, device=device)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return int(shared)


def _many() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
