"""Communication between the ranks of a distributed training. Every function here must be called on all ranks."""

import atexit
import gc
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Value = TypeVar("Value")
HOST_TIMEOUT = timedelta(days=7)  # how long ranks wait for what rank 0 does alone, such as computing scores


def rank() -> int:
    return dist.get_rank() if _is_distributed() else 0


def world_size() -> int:
    return dist.get_world_size() if _is_distributed() else 1


def gather_to_rank_zero(value: Value) -> list[Value]:
    """Return the values of all ranks, in the order of the ranks, on rank 0, and an empty list on the other ranks. The values are
    sent between CPUs."""
    if not _is_distributed():
        return [value]
    values: list[Any] | None = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(value, values, group=_host_group())
    return values or []


def own_value(values: list[Value]) -> Value:
    """Return this rank's entry of a list with one value per rank. The list may come from a run with fewer ranks; its entries are
    then reused."""
    return values[rank() % len(values)]


def broadcast_from_rank_zero(value: Value | None) -> Value:
    """Return rank 0's value on every rank. The other ranks may wait for the value for longer than the timeout of the process
    group."""
    values = [value]
    if _is_distributed():
        dist.broadcast_object_list(values, group=_host_group())
    return values[0]  # type: ignore[return-value]


def max_over_ranks(value: int, device: torch.device) -> int:
    """Return the largest value of all ranks, on every rank."""
    if not _is_distributed():
        return value
    shared = torch.tensor(value, device=device)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return int(shared)


def mean_over_ranks(value: Tensor) -> Tensor:
    """Return the mean over all ranks, on every rank."""
    if not _is_distributed():
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / world_size()


def destroy_process_groups() -> None:
    """Destroy all process groups and wait for their threads. This runs at the exit of each rank.

    A gloo thread can still hold a tensor of the last collective for a moment. If it releases the tensor while Python shuts
    down, the rank ends with SIGABRT (https://github.com/pytorch/pytorch/issues/190489). Lightning destroys NCCL groups only.
    """
    _host_groups.clear()
    if dist.is_initialized():
        dist.destroy_process_group()
    gc.collect()  # the threads end with the last reference, which the reference cycles of a DDP model keep


class GradientAverager:
    """Averages gradients over all ranks, with one all-reduce per dtype. A gradient that is None on every rank stays None.

    If gradients are missing on this rank, it has to know which of them other ranks have. This is read from the device, which
    blocks, only when the set of missing gradients changes.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[int, ...], Tensor] = {}  # 1 for each gradient that is here
        self._present: dict[tuple[int, ...], list[float]] = {}  # on how many ranks each gradient is

    @torch.no_grad()
    def __call__(self, parameters: Iterable[nn.Parameter]) -> None:
        if not _is_distributed():
            return
        for group in _by_dtype(parameters):
            gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in group]
            missing = [id(each) for each in group if each.grad is None]
            key = (id(group[0]), len(group), *missing)
            if key not in self._counts:
                self._counts[key] = gradients[0].new_tensor([each.grad is not None for each in group])
            message = torch.cat([*(gradient.flatten() for gradient in gradients), self._counts[key]])
            dist.all_reduce(message)
            total, counts = message[: -len(group)], message[-len(group) :]
            total /= world_size()
            if missing and key not in self._present:
                self._present[key] = counts.tolist()
            for index, (each, value) in enumerate(zip(group, total.split([x.numel() for x in group]), strict=True)):
                if each.grad is not None:
                    each.grad.copy_(value.view_as(each))
                elif self._present[key][index]:
                    each.grad = torch.empty_like(each).copy_(value.view_as(each))


@torch.no_grad()
def sync_batch_norm_buffers(network: nn.Module) -> None:
    """Copy rank 0's running statistics to all ranks. They differ before, because each rank trains on different images."""
    if not _is_distributed():
        return
    names = ("running_mean", "running_var")
    for group in _by_dtype(buffer for name, buffer in network.named_buffers() if name.endswith(names)):
        message = torch.cat([buffer.flatten() for buffer in group])
        dist.broadcast(message, src=0)
        for buffer, value in zip(group, message.split([each.numel() for each in group]), strict=True):
            buffer.copy_(value.view_as(buffer))


TensorLike = TypeVar("TensorLike", bound=Tensor)


def _by_dtype(tensors: Iterable[TensorLike]) -> Sequence[list[TensorLike]]:
    """Tensors grouped by dtype, in an order that is the same on all ranks."""
    ordered = sorted(tensors, key=lambda each: str(each.dtype))
    return [list(group) for _, group in groupby(ordered, key=lambda each: each.dtype)]


_host_groups: list[tuple[Any, Any]] = []  # the process group of the training, and that of the hosts


def _host_group() -> Any:
    """All ranks, on the CPU: NCCL would put objects into the memory of GPU 0, and fail after its timeout."""
    world = dist.group.WORLD
    if not _host_groups or _host_groups[0][0] is not world:
        _host_groups[:] = [(world, dist.new_group(backend="gloo", timeout=HOST_TIMEOUT))]
        atexit.register(destroy_process_groups)
    return _host_groups[0][1]


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
