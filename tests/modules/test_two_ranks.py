"""Two ranks are one process with the doubled batch, for every variant; and so is a batch that is played in parts."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hydra import compose, initialize_config_dir
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.callbacks.budget import Budget
from stylegan_lab.conf_dir import CONF
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.experiment import Experiment, build
from stylegan_lab.modules.ranks import gathered

BATCH, ITERATIONS = 4, 2  # pictures over all ranks
ALL = [
    "experiment=smoke", "optimizer=sgd", "optimizer.lr=0.01", "schedule=constant", f"iterations={ITERATIONS}",
    "translator.channels=2", "data.train_scenes=8", "data.val_scenes=7", "callbacks.scoring.every=0", "data.size=16",
]  # fmt: skip
NORM_FREE = ["translator.norm=none", "critic.norm=none"]
# A variant joins by a line. Not here: image pools, which every rank has of its own, dropout, which has no place in a batch, and
# the deviation of a group of pictures.
VARIANTS = {
    "CycleGAN": ["model=cyclegan", "model.pool_size=0", f"callbacks.scoring.every={ITERATIONS}", *NORM_FREE],
    "CycleGAN, instance norm, clipped": ["model=cyclegan", "model.pool_size=0", "model.clip_gradients=0.1"],
    "pix2pix": ["model=pix2pix", *NORM_FREE],
    "pix2pix, wgan_gp": ["model=pix2pix", "loss=wgan_gp", "loss.critic_turns=2", *NORM_FREE],
    "r3gan": ["model=cyclegan", "model.pool_size=0", "loss=r3gan", *NORM_FREE],
    "CUT": ["model=cut", "model.nce_channels=8", "model.nce_patches=16", *NORM_FREE],
    "FastCUT": ["model=fastcut", "model.nce_channels=8", "model.nce_patches=16", *NORM_FREE],
    "perceptual": ["model=perceptual", "loss=hinge", *NORM_FREE],
    "multidomain": ["model=multidomain", "critic.norm=none"],
    "multidomain, told at the stem": ["model=multidomain", "translator.condition_at=stem", *NORM_FREE],
    "StarGAN v2": ["model=stargan2", "translator=stargan2_small", "translator.channels=4", "data.size=32"],
    "Johnson": ["model=johnson", *NORM_FREE],
    "AdaIN": ["model=adain", "decoder.width=0.1", "data.size=32"],
    "cGAN, spectral norm, more fakes": [
        "model=cgan",
        "generator=fully_connected",
        "model.fakes_per_real=2",
        "model.dequantisation=0.01",
    ],
    "WGAN": ["model=wgan", "loss.critic_turns=1", "generator.norm=none", "adversary.norm=none"],
    "ProGAN": ["model=progan", "model.stable=1", "model.fading=4", "latents.size=8", "adversary.group=1"],
    "StyleGAN2": [
        "model=stylegan2", "model.classes=${data.classes}", "generator.style_size=8", "generator.mapping_layers=1",
        "adversary.mapping_layers=1", "adversary.group=1", "latents.size=8", "model.path_every=2", "loss.penalties.r1.every=2",
    ],
}  # fmt: skip


def played(overrides: list[str], parts: int = 1) -> dict[str, Any]:
    """A training in float64: the weights, the losses of its last iteration, and which samples each rank saw."""
    ranks = int(os.environ.get("WORLD_SIZE", 1))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        shares = [
            f"data.batch_size={BATCH // ranks}",
            f"accumulate={parts}",
            f"strategy.devices={ranks}",
            "strategy=cpu",
        ]
        config = compose("train", [*ALL, *overrides, *shares])
    torch.set_default_dtype(torch.float64)
    try:
        return seen_of(build(config, {}), ranks)
    finally:
        torch.set_default_dtype(torch.float32)


def seen_of(experiment: Experiment, ranks: int) -> dict[str, Any]:
    module, data = experiment.module, experiment.data
    scoring = experiment.callbacks["scoring"]
    scoring.metrics = {"l1": METRICS["l1"]}  # which takes float64
    translate = module.translate
    module.translate = lambda images, direction="a2b": translate(images.double(), direction)  # type: ignore[method-assign]
    samples, floats = Watched(data.train_samples()), data.on_after_batch_transfer
    data.train_samples = lambda: samples  # type: ignore[method-assign]
    data.on_after_batch_transfer = lambda batch, number: doubled(floats(batch, number))  # type: ignore[method-assign]
    trainer = L.Trainer(
        accelerator="cpu", devices=ranks, strategy="ddp" if ranks > 1 else "auto",
        callbacks=[Budget(ITERATIONS), scoring],
        max_epochs=-1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        limit_val_batches=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    return {
        "weights": gathered(module.state_dict()),
        "losses": gathered(module.latest_losses),
        "seen": gathered(samples.seen),
        "scores": gathered(module.latest_scores),
    }


class Watched(Dataset[Any]):
    def __init__(self, samples: Dataset[Any]) -> None:
        self.samples, self.seen = samples, list[tuple[int, int]]()

    def __len__(self) -> int:
        return len(self.samples)  # type: ignore[arg-type]

    def __getitem__(self, draw: tuple[int, int]) -> Any:
        self.seen.append(draw)
        return self.samples[draw]


def doubled(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def rank(number: int, port: int, folder: str) -> None:
    """What one of two processes does: every variant, one after the other."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "tests",
    }  # fmt: skip
    done = {variant: played(overrides) for variant, overrides in VARIANTS.items()}
    done["in parts"] = played(VARIANTS["pix2pix, wgan_gp"], parts=2)
    if number == 0:
        torch.save(done, Path(folder) / "done.pt")
    dist.barrier()  # nobody's connection ends while the other still reads from it
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    try:
        two_processes(folder)
    except mp.ProcessExitedException as died:
        if died.signal_name != "SIGABRT":
            raise
        two_processes(folder)  # once more: gloo's thread aborts, seldom, where a socket's end surprises it
    done: dict[str, dict[str, Any]] = torch.load(folder / "done.pt")
    return done


def two_processes(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(rank, (port, str(folder)), nprocs=2)


@pytest.fixture(scope="module")
def one() -> Callable[[str], dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}

    def of(variant: str) -> dict[str, Any]:
        known[variant] = known.get(variant) or played(VARIANTS[variant])
        return known[variant]

    return of


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest distance of two states' values, relative to the larger ones."""
    assert one.keys() == other.keys()
    return max(float(((one[key] - other[key]).abs() / (1 + one[key].abs())).max()) for key in one)


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_ranks_are_one_process_with_the_doubled_batch(
    variant: str, two_ranks: dict[str, dict[str, Any]], one: Callable[[str], dict[str, Any]]
) -> None:
    first, second = two_ranks[variant]["weights"]
    assert all(torch.equal(first[key], second[key]) for key in first), "ranks stay equal, bit for bit"
    assert apart(one(variant)["weights"][0], first) < 1e-12
    mine, theirs = two_ranks[variant]["seen"]
    assert not set(mine) & set(theirs), "no sample is repeated"
    assert sorted(mine + theirs) == sorted(one(variant)["seen"][0]), "none is skipped"
    losses = {
        name: (loss + two_ranks[variant]["losses"][1][name]) / 2
        for name, loss in two_ranks[variant]["losses"][0].items()
    }
    assert apart(one(variant)["losses"][0], losses) < 1e-12


def test_scores_are_those_of_one_process(
    two_ranks: dict[str, dict[str, Any]], one: Callable[[str], dict[str, Any]]
) -> None:
    """Of seven pictures, which two ranks cannot share evenly; both know them, for they decide what is kept."""
    (expected,) = one("CycleGAN")["scores"]
    assert expected.keys() == {"iteration", "val/l1"}
    assert two_ranks["CycleGAN"]["scores"] == [pytest.approx(expected)] * 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_in_parts_is_the_whole_batch(variant: str, one: Callable[[str], dict[str, Any]]) -> None:
    whole, in_parts = one(variant), played(VARIANTS[variant], parts=2)
    assert apart(whole["weights"][0], in_parts["weights"][0]) < 1e-12
    assert apart(whole["losses"][0], in_parts["losses"][0]) < 1e-12


def test_ranks_may_play_in_parts(two_ranks: dict[str, dict[str, Any]], one: Callable[[str], dict[str, Any]]) -> None:
    assert apart(one("pix2pix, wgan_gp")["weights"][0], two_ranks["in parts"]["weights"][0]) < 1e-12
