"""EMA against its closed form, the random state, checkpoint intervals, cost."""

import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stylegan_lab.callbacks.checkpointing import Checkpointing
from stylegan_lab.callbacks.ema import EMA
from stylegan_lab.callbacks.rng_state import get_rng_state, set_rng_state
from stylegan_lab.callbacks.session_recorder import SessionRecorder
from stylegan_lab.runs.reader import recorded_state
from tests.models.test_base import small, train


def test_the_ema_follows_the_closed_form(tmp_path: Path) -> None:
    """decay = 0.5 ** (batch / min(half_life_images, 5% of the images seen))."""
    ema, module = EMA(half_life_images=10), small()
    expected, steps = module.a_to_b.layers[1].weight.detach().clone(), []  # type: ignore[index, union-attr]

    class RecordedEMA(EMA):
        def on_train_batch_end(self, *_: Any) -> None:
            steps.append(module.a_to_b.layers[1].weight.detach().clone())  # type: ignore[index, union-attr]

    train(module, 6, tmp_path, ema, RecordedEMA())
    for iteration, weight in enumerate(steps, start=1):
        decay = 0.5 ** (1 / min(10, 0.05 * iteration))
        expected = expected * decay + weight * (1 - decay)
    assert torch.allclose(ema.averages["a_to_b"]["layers.1.weight"], expected, atol=1e-7)
    assert ema.averages.keys() == {"a_to_b", "b_to_a"}, "discriminators are not averaged"


def test_the_ema_is_that_of_each_tensor_by_itself_bit_for_bit() -> None:
    """Weights are averaged and buffers copied, also those that the network has replaced."""
    module, trainer, ema = nn.Module(), SimpleNamespace(world_size=1), EMA(half_life_images=10)
    module.net = net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1).double())
    module.ema_networks, module.iteration = ("net",), 0  # type: ignore[assignment]
    ema.on_fit_start(trainer, module)  # type: ignore[arg-type]
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    for iteration in range(1, 4):
        module.iteration = iteration  # type: ignore[assignment]
        with torch.no_grad():
            for value in net.parameters():
                value += torch.randn_like(value)
            net[1].running_mean = torch.randn(4)
            net[1].num_batches_tracked += 1
        ema.on_train_batch_end(trainer, module, None, {"a": torch.zeros(2)}, 0)  # type: ignore[arg-type]
        decay = 0.5 ** (2 / min(10, 0.1 * iteration))
        expected |= {name: expected[name].lerp(value.detach(), 1 - decay) for name, value in net.named_parameters()}
        expected |= {name: value.clone() for name, value in net.named_buffers()}
        assert all(torch.equal(ema.averages["net"][name], value) for name, value in expected.items())


def test_ema_weights_are_applied_and_restored(tmp_path: Path) -> None:
    ema, module = EMA(half_life_images=1000), small()
    train(module, 3, tmp_path, ema)
    own = module.a_to_b.layers[1].weight.detach().clone()  # type: ignore[index, union-attr]
    with ema.average_parameters(module):
        assert torch.equal(module.a_to_b.layers[1].weight, ema.averages["a_to_b"]["layers.1.weight"])  # type: ignore[index, union-attr]
    assert torch.equal(module.a_to_b.layers[1].weight, own)  # type: ignore[index, union-attr]


def test_the_random_state_is_restored() -> None:
    cpu = torch.device("cpu")
    state = get_rng_state(cpu)
    drawn = random.random(), float(np.random.rand()), float(torch.rand(()))
    set_rng_state(state, cpu)
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == drawn


@pytest.mark.parametrize(("passed", "due"), [(59, False), (61, True)])
def test_checkpoints_are_due_after_some_minutes(passed: float, due: bool) -> None:
    checkpoints, module = Checkpointing(every=0, minutes=1), small()
    module.iteration, module.max_iterations = 7, 100
    checkpoints._saved_at = time.monotonic() - passed
    assert checkpoints._is_due(module) is due


@pytest.mark.parametrize(("every", "iteration", "due"), [(5, 10, True), (5, 11, False), (0, 10, False), (0, 100, True)])
def test_checkpoints_are_due_at_intervals_and_at_the_end(every: int, iteration: int, due: bool) -> None:
    checkpoints, module = Checkpointing(every=every), small()
    module.iteration, module.max_iterations = iteration, 100
    assert checkpoints._is_due(module) is due


def test_every_session_is_recorded_with_its_cost(tmp_path: Path) -> None:
    """A session that is killed may leave a damaged file."""
    for session in range(2):
        train(small(), 2 + session, tmp_path, SessionRecorder())
    state = recorded_state(tmp_path)
    assert state is not None and state.iteration == 3
    first, second = state.sessions
    assert (first.last_iteration, second.last_iteration) == (2, 3)
    assert first.gpus == 0 and first.hardware.startswith("CPU") and first.ranks == 1
    assert first.seconds > 0 and first.peak_bytes is not None and first.peak_bytes > 50e6
    (tmp_path / "run.json").write_text('{"schema": 1, "sess')
    assert recorded_state(tmp_path) is None
