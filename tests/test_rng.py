"""Keyed draws: the same numbers for any number of ranks and micro-batches, made on the device of the images."""

import pytest
import torch
from torch import Tensor

from stylegan_lab.rng import BatchPosition, batch_draw, batch_position, rand, randn, seeded

CPU = torch.device("cpu")


def draw(rows: int, count: int | None = None, **position: int) -> Tensor:
    """The second of two draws of `count` rows (by default of the micro-batch's), at this position in the global batch."""
    with batch_position(BatchPosition(seed=3, iteration=7, rows=rows, **position)):
        rand(rows, device=CPU)
        return randn(count or rows, 2, device=CPU)


@pytest.mark.parametrize(("ranks", "parts"), [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2)])
def test_ranks_and_micro_batches_together_draw_the_rows_of_one_process(ranks: int, parts: int) -> None:
    """Rank r has every `ranks`-th row of the global batch, and a micro-batch every `parts`-th of a rank's rows."""
    rows = 12 // (ranks * parts)
    together = torch.empty(12, 2)
    for rank in range(ranks):
        own = [draw(rows, rank=rank, world_size=ranks, micro_batch=part, micro_batches=parts) for part in range(parts)]
        together[rank::ranks] = torch.stack(own, dim=1).flatten(0, 1)
    assert torch.equal(together, draw(12))


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_concatenated_batches_draw_the_same_for_each_sample_whatever_the_split(parts: int) -> None:
    """As in cat([a, b]): both halves have numbers of their own."""
    rows = 6 // parts
    draws = [
        draw(rows, 2 * rows, micro_batch=part, micro_batches=parts).unflatten(0, (2, rows)) for part in range(parts)
    ]
    together = torch.stack(draws, dim=2).flatten(1, 2)
    assert torch.equal(together.flatten(0, 1), draw(6, 12))
    assert not torch.equal(together[0], together[1])


def test_draws_differ_by_seed_iteration_and_number() -> None:
    drawn = []
    for seed, iteration in ((0, 0), (0, 1), (1, 0)):
        with batch_position(BatchPosition(seed, iteration)):
            drawn += [rand(4, device=CPU), rand(4, device=CPU)]
    assert len({tuple(each.tolist()) for each in drawn}) == 6


def test_a_value_for_the_batch_is_the_same_on_all_ranks() -> None:
    values = []
    for rank in (0, 1):
        with batch_position(BatchPosition(0, 1, rank=rank, world_size=2)):
            values.append(batch_draw(lambda rng: float(torch.rand((), generator=rng))))
    assert values[0] == values[1]


def test_keyed_draws_leave_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    draw(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_position_torchs_generator_is_used() -> None:
    torch.manual_seed(5)
    expected = torch.randn(4, 2)
    torch.manual_seed(5)
    assert torch.equal(randn(4, 2, device=CPU), expected)


def test_a_seeded_block_is_repeatable_and_leaves_no_trace() -> None:
    before = torch.get_rng_state()
    with seeded(1):
        one = torch.rand(3)
    with seeded(1):
        same = torch.rand(3)
    with seeded(2):
        other = torch.rand(3)
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
