"""Chaos: runs that are killed at random, resumed until they are done, and compared bit for bit with one left in peace."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_lab.runs.checkpoint import read_checkpoint, write_checkpoint
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.metrics_file import read_metrics
from tests.training.train_process import TrainProcess

# Every variant joins by a line: what it is, and with how many loader workers.
VARIANTS = {
    "CycleGAN, lsgan": ["model=cyclegan", "loss=lsgan", "model.pool_size=3"],
    "CycleGAN, wgan_gp": ["model=cyclegan", "loss=wgan_gp", "model.pool_size=3"],
    "pix2pix, in parts": ["model=pix2pix", "generator.dropout=0.5", "micro_batches=2"],
    "perceptual": ["model=perceptual"],
    "multidomain": ["model=multidomain"],
    "StarGAN v2": ["model=stargan2"],
    "super-resolution": [
        "model=perceptual",
        "model.paired=true",
        "data=scenes_superres",
        "generator=srresnet_small",
        "generator.blocks=1",
    ],
    "FastCUT": ["model=fastcut", "model.nce_channels=8", "model.nce_patches=32"],
    "UNSB": ["model=unsb", "generator=unsb_tiny", "discriminator=unsb_tiny", "model.nce_channels=8", "model.nce_patches=32"],
    "Johnson": ["model=johnson"],
    "AdaIN": ["model=adain", "generator=adain_decoder", "generator.width=0.1"],
    "SNGAN by class": ["model=sngan", "model.classes=${data.classes}", "loss.n_critic=2"],
    "ProGAN": ["model=progan", "model.stable_images=8", "model.fade_images=8", "generator.max_channels=8",
               "discriminator.max_channels=8"],
    "StyleGAN2": [
        "model=stylegan2", "data=scenes_labelled", "generator.w_dim=8", "generator.max_channels=8",
        "discriminator.max_channels=8", "loss.regularizers.r1.every=5",
    ],
}  # fmt: skip
CASES = [
    ("CycleGAN, lsgan", 0), ("CycleGAN, lsgan", 2), ("CycleGAN, wgan_gp", 0),
    ("pix2pix, in parts", 0), ("perceptual", 0), ("multidomain", 0), ("StarGAN v2", 0), ("super-resolution", 0),
    ("FastCUT", 0), ("UNSB", 0), ("Johnson", 0), ("AdaIN", 0), ("SNGAN by class", 0),
    pytest.param("ProGAN", 0, marks=pytest.mark.slow),
    ("StyleGAN2", 0), pytest.param("CycleGAN, wgan_gp", 2, marks=pytest.mark.slow),
]  # fmt: skip
ALL = [
    "experiment=smoke", "logger=none", "evaluate=false", "deterministic=true", "iterations=24",
    "generator.channels=2", "discriminator.channels=2", "callbacks.checkpointing.every=3", "callbacks.validation.every=8",
    "callbacks.samples.every=12", "callbacks.gan_failures.every=8", "trainer.log_every_n_steps=1", "output_dir=run",
]  # fmt: skip


def arguments(variant: str) -> list[str]:
    """The overrides of a variant's training. Later values replace earlier ones of the same key."""
    given = [*ALL, *VARIANTS[variant]]
    if any(each in given for each in ("model=sngan", "model=progan", "model=stylegan2")):
        given.append("experiment=smoke_generation")
    if "model=adain" in given:
        given.remove("generator.channels=2")  # its decoder has a width instead
    return list({each.split("=")[0]: each for each in given}.values())


KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def final_state(folder: Path) -> dict[str, Any]:
    """The state in the newest checkpoint of a run."""
    contents = read_checkpoint(CheckpointIndex.read(folder / "run" / "checkpoints").newest_first()[0])
    parts = ("iteration", "state_dict", "optimizer_states", "lr_schedulers", "ema", "pools", "rng_state", "lr_scale")
    return {part: contents.get(part) for part in parts} | {"best": contents["callbacks"]["Checkpointing"]}


def logged_metrics(folder: Path) -> list[dict[str, float]]:
    """The metrics of a run without times, sorted: postponed scores come after the other lines of their iteration."""
    clock = ("time", "images_per_second")
    metric_rows = read_metrics(folder / "run" / "metrics.jsonl")
    kept = [{name: value for name, value in row.items() if name not in clock} for row in metric_rows]
    return sorted(kept, key=lambda row: (row["iteration"], sorted(row)))


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """The places at which two states are not the same, bit for bit."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [where]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{where}: {one.keys() ^ other.keys()}"]
        return [place for key in one for place in differences(one[key], other[key], f"{where}.{key}")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)}"]
        return [
            place
            for n, (a, b) in enumerate(zip(one, other, strict=True))
            for place in differences(a, b, f"{where}[{n}]")
        ]
    return [] if one == other else [f"{where}: {one} and {other}"]


@pytest.fixture(scope="module")
def uninterrupted_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders: dict[str, Path] = {}

    def folder_of(variant: str) -> Path:
        if variant not in folders:
            folders[variant] = tmp_path_factory.mktemp("uninterrupted")
            process = TrainProcess(arguments(variant), folders[variant])
            assert process.wait() == 0, process.printed()
        return folders[variant]

    return folder_of


def slow_disk() -> None:
    """Slow down saving, so that kills happen in it."""
    sync = os.fsync

    def slowly(file: int) -> None:
        time.sleep(0.03)
        sync(file)

    os.fsync = slowly


@pytest.mark.parametrize(("variant", "num_workers"), CASES)
def test_a_run_killed_again_and_again_ends_as_if_left_in_peace(
    variant: str, num_workers: int, tmp_path: Path, kills: int, uninterrupted_run: Callable[[str], Path]
) -> None:
    chaos = random.Random(f"{variant} {num_workers}")
    command = [*arguments(variant), f"data.num_workers={num_workers}"]
    for _ in range(kills):
        process = TrainProcess(command, tmp_path, slow_disk)
        time.sleep(chaos.uniform(0.3, 1.5 + num_workers))
        number = chaos.choice(KILLS)
        process.kill(number, group=chaos.random() < 0.5)
        assert process.wait() in (0, 128 + number, -number), process.printed()
    process = TrainProcess(command, tmp_path)
    assert process.wait() == 0, process.printed()
    assert differences(final_state(uninterrupted_run(variant)), final_state(tmp_path)) == []
    assert logged_metrics(tmp_path) == logged_metrics(uninterrupted_run(variant)), "each iteration is recorded once"
    terminated_run = [path.name for path in tmp_path.rglob(".*") if path.name != ".lock"]
    assert terminated_run == [], "nothing half-written stays"


def kill_process(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_writing_checkpoint() -> None:
    import stylegan_lab.runs.checkpoint as module

    write, written = module._HashingFile.write, [0]

    def dying(self: Any, part: bytes) -> int:
        written[0] += len(part)
        if written[0] > 800_000:
            self._file.flush()
            kill_process()
        return write(self, part)

    module._HashingFile.write = dying  # type: ignore[method-assign]


def kill_after_calls(times: int, name: str) -> None:
    """Die on a later call of a method of the checkpoint index."""
    from stylegan_lab.runs.checkpoint_index import CheckpointIndex

    function, calls = getattr(CheckpointIndex, name), [0]

    def counted(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        return kill_process() if calls[0] > times else function(*arguments, **named)

    setattr(CheckpointIndex, name, counted)


def kill_before_replacing(times: int, name: str) -> None:
    """Die before a later file of this name gets its place, when its contents are complete under another name."""
    replace, calls = Path.replace, [0]

    def counted(self: Path, target: Any) -> Path:
        calls[0] += fnmatch(Path(target).name, name)
        return kill_process() if calls[0] > times else replace(self, target)  # type: ignore[func-returns-value]

    Path.replace = counted  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "moment",
    [
        kill_while_writing_checkpoint,
        partial(kill_after_calls, 2, "add"),
        partial(kill_before_replacing, 2, "[0-9]*.ckpt"),
        partial(kill_before_replacing, 2, "manifest.json"),
        partial(kill_before_replacing, 2, "last.ckpt"),
        partial(kill_after_calls, 2, "link_and_prune"),
        partial(kill_after_calls, 2, "_link"),
    ],
    ids=["in the file", "before it is listed", "before the file", "before the manifest", "before last", "before it is named",
         "before the link"],
)  # fmt: skip
def test_a_run_killed_while_saving_keeps_its_older_checkpoint_and_goes_on(
    moment: Callable[[], None], tmp_path: Path, uninterrupted_run: Callable[[str], Path]
) -> None:
    command = arguments("CycleGAN, lsgan")
    process = TrainProcess(command, tmp_path, moment)
    assert process.wait() == -signal.SIGKILL, process.printed()
    index = CheckpointIndex.read(tmp_path / "run" / "checkpoints")
    assert all(index.is_intact(path) for path in index.newest_first()), "a checkpoint that is there is whole"
    assert index.newest_first()
    process = TrainProcess(command, tmp_path)
    assert process.wait() == 0, process.printed()
    assert "damaged" not in process.printed()
    assert differences(final_state(uninterrupted_run("CycleGAN, lsgan")), final_state(tmp_path)) == []


# Negative controls: leave out any part of the state, and the comparison sees it.


def terminate_at(iteration: int) -> None:
    from stylegan_lab.models.base import BaseModel

    start = BaseModel.on_train_batch_start

    def leaving(self: BaseModel, batch: Any, batch_idx: int) -> None:
        start(self, batch, batch_idx)
        if self.iteration == iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    BaseModel.on_train_batch_start = leaving  # type: ignore[method-assign]


def reset_data_position() -> None:
    from stylegan_lab.data import datamodule

    sampler = datamodule.EpochSampler
    datamodule.EpochSampler = lambda samples, seed, **place: sampler(samples, seed, **place | {"epoch": 0, "start": 0})  # type: ignore[assignment, misc]


def change_adam_moment(contents: dict[str, Any]) -> None:
    contents["optimizer_states"][0]["state"][0]["exp_avg"][0] += 1e-3


def empty_image_pools(contents: dict[str, Any]) -> None:
    contents["pools"] = [{"a": [], "b": []}]


def change_rng_state(contents: dict[str, Any]) -> None:
    contents["rng_state"][0]["torch"] = torch.Generator().manual_seed(1).get_state()


def change_ema_weight(contents: dict[str, Any]) -> None:
    next(iter(contents["ema"]["a_to_b"].values()))[0] += 1e-3


def keep_contents(contents: dict[str, Any]) -> None:
    pass


@pytest.fixture(scope="module")
def terminated_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was terminated in its second epoch."""
    folder = tmp_path_factory.mktemp("terminated")
    process = TrainProcess(arguments("CycleGAN, lsgan"), folder, partial(terminate_at, 11))
    assert process.wait() == 143, process.printed()
    return folder


@pytest.mark.parametrize(
    ("change", "prepare", "same"),
    [
        (keep_contents, None, True),
        (change_adam_moment, None, False),
        (empty_image_pools, None, False),
        (change_rng_state, None, False),
        (change_ema_weight, None, False),
        (keep_contents, reset_data_position, False),
    ],
    ids=["nothing", "a moment of an optimizer", "the pools", "the random state", "an average", "the position"],
)
def test_the_comparison_sees_what_is_left_out(
    change: Callable[[dict[str, Any]], None],
    prepare: Callable[[], None] | None,
    same: bool,
    terminated_run: Path,
    tmp_path: Path,
    uninterrupted_run: Callable[[str], Path],
) -> None:
    shutil.copytree(terminated_run / "run", tmp_path / "run")
    newest_checkpoint = CheckpointIndex.read(tmp_path / "run" / "checkpoints").newest_first()[0]
    contents = read_checkpoint(newest_checkpoint)
    assert contents["iteration"] == 11
    change(contents)
    write_checkpoint(contents, newest_checkpoint)
    process = TrainProcess(arguments("CycleGAN, lsgan"), tmp_path, prepare)
    assert process.wait() == 0, process.printed()
    assert (differences(final_state(uninterrupted_run("CycleGAN, lsgan")), final_state(tmp_path)) == []) is same
