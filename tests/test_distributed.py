"""What ranks send each other: one message for each optimizer step, and objects from host to host, for which they wait long."""

import atexit
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from omegaconf import DictConfig
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing._internal.distributed.fake_pg import FakeStore

from stylegan_lab.distributed import broadcast_from_rank_zero, gather_to_rank_zero
from stylegan_lab.training.experiment import build_module
from tests.models.test_extra_losses import VARIANTS, batch_of
from tests.ranks import run_two_ranks

TIMEOUT_SECONDS = 2


def run_rank(rank: int) -> None:
    dist.init_process_group("gloo", timeout=timedelta(seconds=TIMEOUT_SECONDS))
    gathered = gather_to_rank_zero(torch.full((2,), rank))
    assert [each.tolist() for each in gathered] == ([[0, 0], [1, 1]] if rank == 0 else [])
    if rank == 0:
        time.sleep(2 * TIMEOUT_SECONDS)  # computes scores
    assert broadcast_from_rank_zero("scores" if rank == 0 else None) == "scores"

    model: Any = DistributedDataParallel(nn.Linear(1, 1))
    model.itself = model  # as in the reference cycles of a training
    del model
    assert gloo_threads()
    atexit._run_exitfuncs()  # as when Python ends, which a forked process does not
    assert not gloo_threads(), "one that releases a tensor while Python shuts down would abort the process"


def gloo_threads() -> list[str]:
    names = [(thread / "comm").read_text().strip() for thread in Path("/proc/self/task").iterdir()]
    return [name for name in names if "gloo" in name]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="lists threads in /proc")
def test_ranks_outwait_what_rank_zero_does_alone_and_end_their_threads() -> None:
    run_two_ranks(run_rank)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the collectives that this process takes part in, as the first of two ranks. The other one sends nothing."""
    names: list[str] = []
    dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    for name in ("all_reduce", "broadcast", "all_gather", "barrier", "gather_object", "broadcast_object_list"):
        original = getattr(dist, name)
        monkeypatch.setattr(dist, name, lambda *given, _name=name, _do=original: [names.append(_name), _do(*given)])
    yield names
    dist.destroy_process_group()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_sends_one_message_for_each_optimizer_step(
    variant: str, compose_config: Callable[..., DictConfig], sent: list[str]
) -> None:
    config = compose_config(*VARIANTS[variant][0])
    model: Any = build_module(config)
    steps: list[str] = []
    model.manual_backward = lambda loss: loss.backward()
    model._lightning_optimizer = lambda player: player.optimizer
    model._without_ddp_sync = torch.enable_grad
    optimize = model.optimize
    model.optimize = lambda player, *given: [steps.append("optimize"), optimize(player, *given)][1]
    batch = batch_of(model, config.data.channels)
    for index in range(3):
        sent.clear()
        steps.clear()
        model.on_train_batch_start(batch, index)
        model.training_step(batch, index)
    assert len(steps) >= 1 and sent == ["all_reduce"] * len(steps)
