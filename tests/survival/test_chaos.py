"""Chaos: runs that are killed at random, resumed until they are done, and compared bit for bit with one left in peace."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_lab.checkpoint import read_checkpoint, write_checkpoint
from stylegan_lab.loggers.record import read_record
from stylegan_lab.manifest import Manifest
from tests.survival.attempts import Attempt

# Every variant joins by a line: what it is, and with how many loader workers.
VARIANTS = {
    "CycleGAN, lsgan": ["model=cyclegan", "loss=lsgan", "model.pool_size=3"],
    "CycleGAN, wgan_gp": ["model=cyclegan", "loss=wgan_gp", "model.pool_size=3"],
    "pix2pix, in parts": ["model=pix2pix", "translator.dropout=0.5", "accumulate=2"],
    "perceptual": ["model=perceptual"],
    "multidomain": ["model=multidomain"],
    "StarGAN v2": ["model=stargan2"],
    "super-resolution": [
        "model=perceptual",
        "model.paired=true",
        "data=scenes_superres",
        "translator=upscaler_small",
        "translator.blocks=1",
    ],
    "FastCUT": ["model=fastcut", "model.nce_channels=8", "model.nce_patches=32"],
    "Johnson": ["model=johnson"],
    "AdaIN": ["model=adain", "decoder.width=0.1"],
    "SNGAN by class": ["model=sngan", "model.classes=${data.classes}", "loss.critic_turns=2"],
    "ProGAN": ["model=progan", "model.stable=8", "model.fading=8", "generator.most_channels=8", "adversary.most_channels=8"],
    "StyleGAN2": [
        "model=stylegan2", "data=scenes_labelled", "generator.style_size=8", "generator.most_channels=8",
        "adversary.most_channels=8", "loss.penalties.r1.every=5",
    ],
}  # fmt: skip
CASES = [
    ("CycleGAN, lsgan", 0), ("CycleGAN, lsgan", 2), ("CycleGAN, wgan_gp", 0),
    ("pix2pix, in parts", 0), ("perceptual", 0), ("multidomain", 0), ("StarGAN v2", 0), ("super-resolution", 0),
    ("FastCUT", 0), ("Johnson", 0), ("AdaIN", 0), ("SNGAN by class", 0), pytest.param("ProGAN", 0, marks=pytest.mark.slow),
    ("StyleGAN2", 0), pytest.param("CycleGAN, wgan_gp", 2, marks=pytest.mark.slow),
]  # fmt: skip
ALL = [
    "experiment=smoke", "logger=none", "evaluate=false", "deterministic=true", "iterations=24",
    "translator.channels=2", "critic.channels=2", "callbacks.checkpoints.every=3", "callbacks.scoring.every=8",
    "callbacks.samples.every=12", "callbacks.alarms.every=8", "trainer.log_every_n_steps=1", "output_dir=run",
]  # fmt: skip
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def state(folder: Path) -> dict[str, Any]:
    """Everything that a run is at its end."""
    contents = read_checkpoint(Manifest.of(folder / "run" / "checkpoints").newest_first()[0])
    parts = ("iteration", "state_dict", "optimizer_states", "ema", "pools", "chance", "rate")
    return {part: contents.get(part) for part in parts} | {"best": contents["callbacks"]["Checkpoints"]}


def record(folder: Path) -> list[dict[str, float]]:
    """What was recorded, but for what a clock says. Scores that were put off come after the other lines of their iteration."""
    clock = ("time", "images_per_second")
    rows = read_record(folder / "run" / "metrics.jsonl")
    kept = [{name: value for name, value in row.items() if name not in clock} for row in rows]
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
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    played: dict[str, Path] = {}

    def folder_of(variant: str) -> Path:
        if variant not in played:
            played[variant] = tmp_path_factory.mktemp("undisturbed")
            attempt = Attempt([*ALL, *VARIANTS[variant]], played[variant])
            assert attempt.wait() == 0, attempt.said()
        return played[variant]

    return folder_of


def slow_disk() -> None:
    """Makes saving take long enough to be killed in."""
    sync = os.fsync

    def slowly(file: int) -> None:
        time.sleep(0.03)
        sync(file)

    os.fsync = slowly


@pytest.mark.parametrize(("variant", "workers"), CASES)
def test_a_run_killed_again_and_again_ends_as_if_left_in_peace(
    variant: str, workers: int, tmp_path: Path, kills: int, undisturbed: Callable[[str], Path]
) -> None:
    chaos = random.Random(f"{variant} {workers}")
    command = [*ALL, *VARIANTS[variant], f"data.workers={workers}"]
    for _ in range(kills):
        attempt = Attempt(command, tmp_path, slow_disk)
        time.sleep(chaos.uniform(0.3, 1.5 + workers))
        number = chaos.choice(KILLS)
        attempt.kill(number, group=chaos.random() < 0.5)
        assert attempt.wait() in (0, 128 + number, -number), attempt.said()
    attempt = Attempt(command, tmp_path)
    assert attempt.wait() == 0, attempt.said()
    assert differences(state(undisturbed(variant)), state(tmp_path)) == []
    assert record(tmp_path) == record(undisturbed(variant)), "each iteration is recorded once"
    left = [path.name for path in tmp_path.rglob(".*") if path.name != ".lock"]
    assert left == [], "nothing half-written stays"


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_the_middle_of_the_file() -> None:
    import stylegan_lab.checkpoint as module

    write, written = module._Hashed.write, [0]

    def dying(self: Any, part: bytes) -> int:
        written[0] += len(part)
        if written[0] > 800_000:
            self._file.flush()
            die()
        return write(self, part)

    module._Hashed.write = dying  # type: ignore[method-assign]


def after(times: int, owner: str, name: str) -> None:
    """Die on a later call of a function that takes part in saving."""
    import stylegan_lab.manifest as manifest
    import stylegan_lab.whole as whole

    holder = {"manifest": manifest.Manifest, "whole": whole, "path": Path, "os": os}[owner]
    function, calls = getattr(holder, name), [0]

    def counted(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        return die() if calls[0] > times else function(*arguments, **named)

    setattr(holder, name, counted)


@pytest.mark.parametrize(
    "moment",
    [
        in_the_middle_of_the_file,
        partial(after, 2, "manifest", "add"),
        partial(after, 12, "path", "replace"),
        partial(after, 13, "path", "replace"),
        partial(after, 14, "path", "replace"),
        partial(after, 2, "manifest", "settle"),
        partial(after, 2, "manifest", "_link"),
    ],
    ids=["in the file", "before it is listed", "replace 12", "replace 13", "replace 14", "before it is named", "before the link"],
)  # fmt: skip
def test_a_run_killed_while_saving_keeps_its_older_checkpoint_and_goes_on(
    moment: Callable[[], None], tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    command = [*ALL, *VARIANTS["CycleGAN, lsgan"]]
    attempt = Attempt(command, tmp_path, moment)
    assert attempt.wait() == -signal.SIGKILL, attempt.said()
    manifest = Manifest.of(tmp_path / "run" / "checkpoints")
    assert all(manifest.is_intact(path) for path in manifest.newest_first()), "a checkpoint that is there is whole"
    assert manifest.newest_first()
    attempt = Attempt(command, tmp_path)
    assert attempt.wait() == 0, attempt.said()
    assert "damaged" not in attempt.said()
    assert differences(state(undisturbed("CycleGAN, lsgan")), state(tmp_path)) == []


# Negative controls: leave out any part of the state, and the comparison sees it.


def leave_at(iteration: int) -> None:
    from stylegan_lab.modules.module import Module

    start = Module.on_train_batch_start

    def leaving(self: Module, batch: Any, batch_idx: int) -> None:
        start(self, batch, batch_idx)
        if self.iteration == iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    Module.on_train_batch_start = leaving  # type: ignore[method-assign]


def forget_position() -> None:
    from stylegan_lab.data.image_data import ImageData

    ImageData._place = lambda self: (0, 1, 0)  # type: ignore[method-assign]


def change_a_moment(contents: dict[str, Any]) -> None:
    contents["optimizer_states"][0]["state"][0]["exp_avg"][0] += 1e-3


def empty_the_pools(contents: dict[str, Any]) -> None:
    contents["pools"] = [{"a": [], "b": []}]


def draw_again(contents: dict[str, Any]) -> None:
    contents["chance"][0]["torch"] = torch.Generator().manual_seed(1).get_state()


def change_an_average(contents: dict[str, Any]) -> None:
    next(iter(contents["ema"]["a_to_b"].values()))[0] += 1e-3


def change_nothing(contents: dict[str, Any]) -> None:
    pass


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that left in the middle of its second epoch."""
    folder = tmp_path_factory.mktemp("left")
    attempt = Attempt([*ALL, *VARIANTS["CycleGAN, lsgan"]], folder, partial(leave_at, 11))
    assert attempt.wait() == 143, attempt.said()
    return folder


@pytest.mark.parametrize(
    ("change", "prepare", "same"),
    [
        (change_nothing, None, True),
        (change_a_moment, None, False),
        (empty_the_pools, None, False),
        (draw_again, None, False),
        (change_an_average, None, False),
        (change_nothing, forget_position, False),
    ],
    ids=["nothing", "a moment of an optimizer", "the pools", "chance", "an average", "the position"],
)
def test_the_comparison_sees_what_is_left_out(
    change: Callable[[dict[str, Any]], None],
    prepare: Callable[[], None] | None,
    same: bool,
    left: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Path],
) -> None:
    shutil.copytree(left / "run", tmp_path / "run")
    newest = Manifest.of(tmp_path / "run" / "checkpoints").newest_first()[0]
    contents = read_checkpoint(newest)
    assert contents["iteration"] == 11
    change(contents)
    write_checkpoint(contents, newest)
    attempt = Attempt([*ALL, *VARIANTS["CycleGAN, lsgan"]], tmp_path, prepare)
    assert attempt.wait() == 0, attempt.said()
    assert (differences(state(undisturbed("CycleGAN, lsgan")), state(tmp_path)) == []) is same
