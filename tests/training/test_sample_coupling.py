"""A batch is not split where its samples are compared with each other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.networks.layers.progan import MinibatchStdDev
from stylegan_lab.training.experiment import build_experiment
from tests.refusals import refused

RANKS = ["strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2"]
BATCH_NORM = ["experiment=smoke", "generator.norm=batch", "data.batch_size=4"]
GROUPS = ["experiment=smoke_generation", "model=stylegan2", "data.batch_size=8"]


class SpreadLoss:
    """An extra loss that compares the images of a batch."""

    couples_samples = True

    def __call__(self, fake: Tensor) -> Tensor:
        return fake.std(dim=0).mean()


@pytest.mark.parametrize(
    ("overrides", "code", "setting"),
    [
        ([*BATCH_NORM, "micro_batches=2"], "training.batch_norm_micro_batches", "micro_batches"),
        ([*BATCH_NORM, *RANKS], "training.batch_norm_not_synchronized", "strategy.sync_batchnorm"),
        ([*GROUPS, "discriminator.mbstd_group_size=8", "micro_batches=2"], "training.coupled_micro_batches",
         "micro_batches"),
        ([*GROUPS, "discriminator.mbstd_group_size=8", "data.batch_size=4", *RANKS], "training.coupled_devices",
         "strategy.devices"),
        (["experiment=smoke", "data.batch_size=4", "micro_batches=2", "trust=[tests]",
          "+model.extra_losses.spread={_target_: tests.training.test_sample_coupling.SpreadLoss}"],
         "training.coupled_micro_batches", "model.extra_losses.spread"),
    ],
)  # fmt: skip
def test_what_compares_samples_is_refused(
    overrides: list[str], code: str, setting: str, compose_config: Callable[..., DictConfig]
) -> None:
    with refused(code, setting):
        build_experiment(compose_config(*overrides), {})


@pytest.mark.parametrize(
    "overrides",
    [
        BATCH_NORM,
        [*BATCH_NORM, *RANKS, "strategy.sync_batchnorm=false"],
        [*GROUPS, "discriminator.mbstd_group_size=4", "micro_batches=2"],
        [*GROUPS, "discriminator.mbstd_group_size=4", *RANKS],
    ],
)
def test_what_gives_the_same_in_parts_is_not(overrides: list[str], compose_config: Callable[..., DictConfig]) -> None:
    build_experiment(compose_config(*overrides), {})


@pytest.mark.parametrize("parts", [2, 4])
def test_groups_of_the_deviation_stay_together_in_every_n_th_image(parts: int) -> None:
    layer, images = MinibatchStdDev(2), torch.rand(8, 3, 4, 4, dtype=torch.float64)
    whole: Any = layer(images)
    assert not layer.couples_samples(8 // parts, 8)
    for index in range(parts):
        assert torch.allclose(layer(images[index::parts]), whole[index::parts], rtol=0, atol=1e-15)
