"""What watches a run: averages beside their closed form, chance put back."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stylegan_lab.callbacks.averaging import Averaging
from stylegan_lab.callbacks.chance import restore_chance, state_of_chance
from stylegan_lab.callbacks.checkpoints import Checkpoints
from stylegan_lab.callbacks.cost import Cost
from stylegan_lab.runs import Run
from tests.modules.test_module import play, small


def test_averages_follow_the_closed_form(tmp_path: Path) -> None:
    """kept = 0.5 ** (batch / min(half_life, 5% of the images seen))."""
    averaging, module = Averaging(half_life=10), small()
    expected, steps = module.a_to_b.layers[1].weight.detach().clone(), []  # type: ignore[index, union-attr]

    class Watch(Averaging):
        def on_train_batch_end(self, *_: Any) -> None:
            steps.append(module.a_to_b.layers[1].weight.detach().clone())  # type: ignore[index, union-attr]

    play(module, 6, tmp_path, averaging, Watch())
    for iteration, weight in enumerate(steps, start=1):
        kept = 0.5 ** (1 / min(10, 0.05 * iteration))
        expected = expected * kept + weight * (1 - kept)
    assert torch.allclose(averaging.averages["a_to_b"]["layers.1.weight"], expected, atol=1e-7)
    assert averaging.averages.keys() == {"a_to_b", "b_to_a"}, "critics are not averaged"


def test_averages_are_lent_and_given_back(tmp_path: Path) -> None:
    averaging, module = Averaging(half_life=1000), small()
    play(module, 3, tmp_path, averaging)
    own = module.a_to_b.layers[1].weight.detach().clone()  # type: ignore[index, union-attr]
    with averaging.applied(module):
        assert torch.equal(module.a_to_b.layers[1].weight, averaging.averages["a_to_b"]["layers.1.weight"])  # type: ignore[index, union-attr]
    assert torch.equal(module.a_to_b.layers[1].weight, own)  # type: ignore[index, union-attr]


def test_chance_goes_on_where_it_was() -> None:
    cpu = torch.device("cpu")
    state = state_of_chance(cpu)
    drawn = random.random(), float(np.random.rand()), float(torch.rand(()))
    restore_chance(state, cpu)
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == drawn


@pytest.mark.parametrize(("passed", "due"), [(59, False), (61, True)])
def test_checkpoints_can_be_due_by_the_clock(passed: float, due: bool) -> None:
    checkpoints, module = Checkpoints(every=0, minutes=1), small()
    module.iteration, module.budget = 7, 100
    checkpoints._since = time.monotonic() - passed
    assert checkpoints._is_due(module) is due


@pytest.mark.parametrize(("every", "iteration", "due"), [(5, 10, True), (5, 11, False), (0, 10, False), (0, 100, True)])
def test_checkpoints_are_due_every_so_often_and_at_the_end(every: int, iteration: int, due: bool) -> None:
    checkpoints, module = Checkpoints(every=every), small()
    module.iteration, module.budget = iteration, 100
    assert checkpoints._is_due(module) is due


def test_what_sittings_cost_adds_up(tmp_path: Path) -> None:
    """Also that of one that is killed between two of them, and wrote only now and then."""
    for sitting in range(2):
        play(small(), 2 + sitting, tmp_path, Cost())
    first, second = Run(tmp_path).sittings()
    assert (first["last"], second["last"]) == (2, 3) and first["gpus"] == 0 and first["hardware"].startswith("CPU")
    assert 0 < first["seconds"] < 60 and first["peak_bytes"] > 50e6
    (tmp_path / "cost.json").write_text('{"schema": 1, "sitt')
    assert Run(tmp_path).sittings() == []
