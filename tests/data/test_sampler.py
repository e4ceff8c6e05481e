"""The order of samples: decided by (seed, epoch), the same however many ranks share it and wherever it starts."""

import itertools

from stylegan_lab.data.sampler import EpochSampler, sample_rng
from stylegan_lab.data.synthetic.scenes_datamodule import UnpairedScenesDataModule
from tests.refusals import refused


def test_every_sample_once_an_epoch_in_an_order_of_its_own() -> None:
    sampler = EpochSampler(10, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(index for _, index in first) == sorted(index for _, index in second) == list(range(10))
    assert [index for _, index in first] != [index for _, index in second]
    assert {epoch for epoch, _ in first} == {0} and {epoch for epoch, _ in second} == {1}


def test_another_seed_another_order() -> None:
    assert list(EpochSampler(20, seed=1)) != list(EpochSampler(20, seed=2))


def test_a_later_start_goes_on_where_the_order_was_left_and_later_epochs_are_whole() -> None:
    whole = list(EpochSampler(10, seed=1, epoch=3))
    resumed = EpochSampler(10, seed=1, epoch=3, start=4)
    assert list(resumed) == whole[4:]
    resumed.set_epoch(4)
    assert len(list(resumed)) == 10


def test_ranks_share_the_order_without_repeating_or_skipping() -> None:
    """Two ranks together play each global batch one device would have played."""
    alone = list(EpochSampler(12, seed=5))
    ranks = [list(EpochSampler(12, seed=5, rank=rank, ranks=2)) for rank in range(2)]
    assert list(itertools.chain(*zip(*ranks, strict=True))) == alone


def test_overfitting_repeats_the_same_few() -> None:
    sampler = EpochSampler(10, seed=1, repeat=3)
    first = list(sampler)
    sampler.set_epoch(7)
    assert list(sampler) == first and len(first) == len(sampler) == 3


def test_dice_of_different_keys_are_unrelated() -> None:
    assert len({sample_rng(*key).initial_seed() for key in itertools.product(range(10), repeat=3)}) == 1000


def test_a_batch_larger_than_the_data_is_answered() -> None:
    data = UnpairedScenesDataModule(size=16, train_images=4, batch_size=5)
    with refused("data.batch_too_large", "data.batch_size=5", "data.batch_size=4"):
        data.batches_per_epoch()
