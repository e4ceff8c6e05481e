"""Two ranks are one process with the doubled batch, for every variant; and so is a batch that is split into micro-batches."""

import os
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.callbacks.max_iterations import StopAtMaxIterations
from stylegan_lab.config.paths import CONF
from stylegan_lab.data.sampler import EPOCHS
from stylegan_lab.distributed import gather_to_rank_zero
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.training.experiment import Experiment, build_experiment
from tests.ranks import run_two_ranks

BATCH, ITERATIONS = 4, 2  # pictures over all ranks
ALL = [
    "optimizer=sgd", "optimizer.lr=0.01", "schedule=constant", f"iterations={ITERATIONS}",
    "data.train_images=8", "data.val_images=7", "callbacks.validation.every=0", "data.size=16",
    "strategy=cpu",
]  # fmt: skip
TRANSLATION, FROM_NOISE = "experiment=smoke", "experiment=smoke_generation"
NORM_FREE = ["generator.norm=none", "discriminator.norm=none"]
# A variant joins by a line. Not here: image pools, which every rank has of its own, and dropout, which has no place in a batch.
VARIANTS = {
    "CycleGAN": ["model=cyclegan", "model.pool_size=0", f"callbacks.validation.every={ITERATIONS}", *NORM_FREE],
    "CycleGAN, instance norm, clipped": ["model=cyclegan", "model.pool_size=0", "model.clip_gradients=0.1"],
    "pix2pix": ["model=pix2pix", *NORM_FREE],
    "pix2pix, wgan_gp": ["model=pix2pix", "loss=wgan_gp", "loss.n_critic=2", *NORM_FREE],
    "r3gan": ["model=cyclegan", "model.pool_size=0", "loss=r3gan", *NORM_FREE],
    "CUT": ["model=cut", "model.nce_channels=8", "model.nce_patches=16", *NORM_FREE],
    "FastCUT": ["model=fastcut", "model.nce_channels=8", "model.nce_patches=16", *NORM_FREE],
    "UNSB": ["model=unsb", "generator=unsb_tiny", "discriminator=unsb_tiny", "model.nce_channels=8", "model.nce_patches=16"],
    "perceptual": ["model=perceptual", "loss=hinge", *NORM_FREE],
    "multidomain": ["model=multidomain", "discriminator.norm=none"],
    "multidomain, conditioned at the stem": ["model=multidomain", "generator.condition_at=stem", *NORM_FREE],
    "StarGAN v2": ["model=stargan2", "generator=stargan2_small", "generator.channels=4", "data.size=32"],
    "Johnson": ["model=johnson", *NORM_FREE],
    "AdaIN": ["model=adain", "generator=adain_decoder", "generator.width=0.1", "data.size=32"],
    "cGAN, spectral norm, more fakes": [
        FROM_NOISE, "model=cgan",
        "generator=fully_connected",
        "model.fakes_per_real=2",
        "model.dequantization=0.01",
    ],
    "WGAN": [FROM_NOISE, "model=wgan", "loss.n_critic=1", "generator.norm=none", "discriminator.norm=none"],
    "ProGAN": [FROM_NOISE, "model=progan", "model.stable_images=1", "model.fade_images=4", "latents.size=8",
               "discriminator.mbstd_group_size=2"],
    "StyleGAN2": [
        FROM_NOISE, "model=stylegan2", "model.classes=${data.classes}", "generator.w_dim=8", "generator.mapping_layers=1",
        "discriminator.mapping_layers=1", "discriminator.mbstd_group_size=2", "latents.size=8",
        "model.pl_interval=2", "loss.regularizers.r1.every=2",
    ],
}  # fmt: skip


def composed(variant: str) -> DictConfig:
    overrides = VARIANTS[variant]
    experiment = [] if FROM_NOISE in overrides else [TRANSLATION]
    channels = [] if "model=adain" in overrides else ["generator.channels=2"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", [*ALL, *experiment, *channels, *overrides])


def train(config: DictConfig, micro_batches: int = 1) -> dict[str, Any]:
    """A training in float64: the weights, the losses of its last iteration, and which samples each rank saw."""
    ranks = int(os.environ.get("WORLD_SIZE", 1))
    config = deepcopy(config)
    config.data.batch_size, config.micro_batches, config.strategy.devices = BATCH // ranks, micro_batches, ranks
    torch.set_default_dtype(torch.float64)
    try:
        return results_of(build_experiment(config, {}), ranks)
    finally:
        torch.set_default_dtype(torch.float32)


def results_of(experiment: Experiment, ranks: int) -> dict[str, Any]:
    module, data = experiment.module, experiment.data
    validation = experiment.callbacks["validation"]
    validation.metrics = {"l1": METRICS["l1"]}  # which takes float64
    translate = module.translate
    module.translate = lambda images, direction="a2b": translate(images.double(), direction)  # type: ignore[method-assign]
    samples, floats = RecordedDataset(data.train_samples()), data.on_after_batch_transfer
    data.train_samples = lambda: samples  # type: ignore[method-assign]
    data.on_after_batch_transfer = lambda batch, number: to_double(floats(batch, number))  # type: ignore[method-assign]
    trainer = L.Trainer(
        accelerator="cpu", devices=ranks, strategy="ddp" if ranks > 1 else "auto",
        callbacks=[StopAtMaxIterations(ITERATIONS), validation],
        max_epochs=-1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        limit_val_batches=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    module.sync_buffers()  # type: ignore[operator]  # as before a checkpoint
    return {
        "weights": gather_to_rank_zero(module.state_dict()),
        "losses": gather_to_rank_zero(module.latest_losses),
        "logged": gather_to_rank_zero({name: float(each) for name, each in module.step_metrics().items()}),  # type: ignore[operator]
        "seen": gather_to_rank_zero(samples.seen),
        "scores": gather_to_rank_zero(module.latest_scores),
    }


class RecordedDataset(Dataset[Any]):
    def __init__(self, samples: Dataset[Any]) -> None:
        self.samples, self.seen = samples, list[tuple[int, int]]()

    def __len__(self) -> int:
        return len(self.samples)  # type: ignore[arg-type]

    def __getitem__(self, draw: tuple[int, int]) -> Any:
        self.seen.append(draw)
        return self.samples[draw]


def to_double(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def run_rank(rank: int, configs: dict[str, DictConfig], file: Path) -> None:
    """Train every variant, one after the other."""
    done = {variant: train(config) for variant, config in configs.items()}
    done["micro_batches"] = train(configs["pix2pix, wgan_gp"], micro_batches=2)
    if rank == 0:
        torch.save(done, file)


@pytest.fixture(scope="module")
def configs() -> dict[str, DictConfig]:
    return {variant: composed(variant) for variant in VARIANTS}


@pytest.fixture(scope="module")
def two_ranks(configs: dict[str, DictConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    file = tmp_path_factory.mktemp("ranks") / "done.pt"
    run_two_ranks(run_rank, configs, file)
    done: dict[str, dict[str, Any]] = torch.load(file)
    return done


@pytest.fixture(scope="module")
def one_process(configs: dict[str, DictConfig]) -> Callable[[str], dict[str, Any]]:
    return cache(lambda variant: train(configs[variant]))


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest distance of two states' values, relative to the larger ones."""
    assert one.keys() == other.keys()
    return max(float(((one[key] - other[key]).abs() / (1 + one[key].abs())).max()) for key in one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_ranks_are_one_process_with_the_doubled_batch(
    variant: str, two_ranks: dict[str, dict[str, Any]], one_process: Callable[[str], dict[str, Any]]
) -> None:
    first, second = two_ranks[variant]["weights"]
    assert all(torch.equal(first[key], second[key]) for key in first), "ranks stay equal, bit for bit"
    assert largest_difference(one_process(variant)["weights"][0], first) < 1e-12
    mine, theirs = two_ranks[variant]["seen"]
    shared = {epoch for epoch, _ in {*mine} & {*theirs}}
    assert all(epoch >= EPOCHS for epoch in shared), "no sample is repeated, but for extra draws"
    assert sorted(mine + theirs) == sorted(one_process(variant)["seen"][0]), "none is skipped"
    losses = {
        name: (loss + two_ranks[variant]["losses"][1][name]) / 2
        for name, loss in two_ranks[variant]["losses"][0].items()
    }
    assert largest_difference(one_process(variant)["losses"][0], losses) < 1e-12


def test_logged_losses_are_the_mean_over_ranks(two_ranks: dict[str, dict[str, Any]]) -> None:
    for variant, done in two_ranks.items():
        first, second = done["losses"]
        assert done["logged"][0] == done["logged"][1], variant
        logged = {name: value for name, value in done["logged"][0].items() if name.startswith("loss/")}
        means = {f"loss/{name}": float(first[name] + second[name]) / 2 for name in first}
        assert logged == pytest.approx(means, rel=1e-5, abs=1e-6), variant
        assert any(not torch.allclose(first[name], second[name]) for name in first), "each rank has losses of its own"


def test_scores_are_those_of_one_process(
    two_ranks: dict[str, dict[str, Any]], one_process: Callable[[str], dict[str, Any]]
) -> None:
    """Of seven pictures, which two ranks cannot share evenly; both know them, for they decide what is kept."""
    (expected,) = one_process("CycleGAN")["scores"]
    assert expected.keys() == {"iteration", "val/l1"}
    assert two_ranks["CycleGAN"]["scores"] == [pytest.approx(expected)] * 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_micro_batches_equal_the_full_batch(
    variant: str, configs: dict[str, DictConfig], one_process: Callable[[str], dict[str, Any]]
) -> None:
    full, split = one_process(variant), train(configs[variant], micro_batches=2)
    assert largest_difference(full["weights"][0], split["weights"][0]) < 1e-12
    assert largest_difference(full["losses"][0], split["losses"][0]) < 1e-12


def test_ranks_may_use_micro_batches(
    two_ranks: dict[str, dict[str, Any]], one_process: Callable[[str], dict[str, Any]]
) -> None:
    assert (
        largest_difference(one_process("pix2pix, wgan_gp")["weights"][0], two_ranks["micro_batches"]["weights"][0])
        < 1e-12
    )
