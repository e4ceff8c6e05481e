"""Ranks: what the processes of one training tell each other, gradients among it."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Value = TypeVar("Value")


def rank() -> int:
    return dist.get_rank() if _many() else 0


def ranks() -> int:
    return dist.get_world_size() if _many() else 1


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


def said(value: Value | None) -> Value:
    """What the first rank says, known to all; every rank must ask."""
    values = [value]
    if _many():
        dist.broadcast_object_list(values)
    return values[0]  # type: ignore[return-value]


def largest(value: int, device: torch.device) -> int:
    """The largest value of any rank, known to all; every rank must ask."""
    if not _many():
        return value
    shared = torch.tensor(value, device=device)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return int(shared)


def mean(value: Tensor) -> Tensor:
    """Over all ranks, each of which must ask."""
    if not _many():
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / ranks()


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Over all ranks, in one message for each kind of number. A gradient that no rank has stays None."""
    if not _many():
        return
    for kind in _kinds(parameters):
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in kind]
        counts = gradients[0].new_tensor([each.grad is not None for each in kind])
        message = torch.cat([*(gradient.flatten() for gradient in gradients), counts])
        dist.all_reduce(message)
        total, counts = message[: -len(kind)], message[-len(kind) :]
        total /= ranks()
        means = total.split([each.numel() for each in kind])
        missing = [place for place, each in enumerate(kind) if each.grad is None]
        known = counts.tolist() if missing else []  # looked at only then: it waits for the device
        for place, (each, value) in enumerate(zip(kind, means, strict=True)):
            if each.grad is not None:
                each.grad.copy_(value.view_as(each))
            elif known[place]:
                each.grad = value.view_as(each).clone()


@torch.no_grad()
def agree(net: nn.Module) -> None:
    """On the first rank's running statistics, for each rank has seen other pictures."""
    if not _many():
        return
    names = ("running_mean", "running_var")
    for kind in _kinds(buffer for name, buffer in net.named_buffers() if name.endswith(names)):
        message = torch.cat([buffer.flatten() for buffer in kind])
        dist.broadcast(message, src=0)
        for buffer, value in zip(kind, message.split([each.numel() for each in kind]), strict=True):
            buffer.copy_(value.view_as(buffer))


Numbers = TypeVar("Numbers", bound=Tensor)


def _kinds(tensors: Iterable[Numbers]) -> Sequence[list[Numbers]]:
    """Those of one kind of number together, in an order that is the same on all ranks."""
    ordered = sorted(tensors, key=lambda each: str(each.dtype))
    return [list(kind) for _, kind in groupby(ordered, key=lambda each: each.dtype)]


def _many() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
