"""Signals and the clock: the step is finished and saved, and the code says why the process left."""

import os
import signal
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stylegan_lab.callbacks.preemption import parse_time_limit
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.metrics_file import read_metrics
from tests.refusals import refused
from tests.training.train_process import TrainProcess

LONG = [
    "experiment=smoke", "logger=none", "evaluate=false", "iterations=1000000", "schedule=constant", "callbacks.samples=null",
    "callbacks.validation=null", "callbacks.checkpointing.every=0", "trainer.log_every_n_steps=1", "output_dir=run",
]  # fmt: skip


def metric_rows(folder: Path) -> list[dict[str, float]]:
    path = folder / "run" / "metrics.jsonl"
    return read_metrics(path) if path.exists() else []


def newest_checkpoint(folder: Path) -> Path:
    return CheckpointIndex.read(folder / "run" / "checkpoints").newest_first()[0]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_signal_ends_the_step_saves_it_and_leaves_with_its_code(
    number: int, code: int, num_workers: int, tmp_path: Path
) -> None:
    """Sent to all processes, as a terminal and SLURM do; workers do not die of it before the step is done."""
    process = TrainProcess([*LONG, f"data.num_workers={num_workers}", "logger=tensorboard"], tmp_path)
    process.wait_until(lambda: len(metric_rows(tmp_path)) >= 2)
    process.kill(number, group=True)
    assert process.wait(30) == code, process.printed()
    last_iteration = int(metric_rows(tmp_path)[-1]["iteration"])
    assert newest_checkpoint(tmp_path).name == f"{last_iteration:06d}.ckpt", (
        "no step is lost, and none is recorded that was not saved"
    )
    assert f"interrupted at iteration {last_iteration} of 1000000, saved" in process.printed()
    assert f"stylegan-lab train resume={tmp_path}/run" in (tmp_path / "run" / "log.txt").read_text()
    assert list((tmp_path / "run" / "tensorboard").glob("events*")), "loggers were closed, not cut off"
    assert "Traceback" not in process.printed() and "Error" not in process.printed()


def touch_when_stop_is_requested() -> None:
    from stylegan_lab.callbacks.preemption import Preemption

    request_stop = Preemption.request_stop

    def touching(self: Preemption, number: int, frame: Any) -> None:
        request_stop(self, number, frame)
        Path("stop_requested").touch()

    Preemption.request_stop = touching  # type: ignore[method-assign]


def never_end_a_step() -> None:
    from stylegan_lab.models.base import BaseModel

    def step(*_: Any) -> None:
        Path("in_a_step").touch()
        while True:
            time.sleep(60)

    BaseModel.on_train_batch_start = step  # type: ignore[assignment]
    touch_when_stop_is_requested()


def test_a_second_ctrl_c_does_not_wait_for_the_step(tmp_path: Path) -> None:
    process = TrainProcess(LONG, tmp_path, never_end_a_step)
    process.wait_until(lambda: (tmp_path / "in_a_step").exists())
    process.kill(signal.SIGINT)
    process.wait_until(lambda: (tmp_path / "stop_requested").exists())
    process.kill(signal.SIGINT)
    assert process.wait() == -signal.SIGINT


def wait_for_the_signal_in_validation() -> None:
    """Before the first image of a validation is translated; each image that is translated afterwards adds a line."""
    from stylegan_lab.models.translation.cyclegan import CycleGAN

    translate = CycleGAN.translate

    def waiting(self: CycleGAN, *arguments: Any) -> Any:
        if self.iteration in (3, 8):
            Path("scoring").touch()
            while not Path("stop_requested").exists():
                time.sleep(0.01)
            with Path("translated").open("a") as file:
                file.write("image\n")
        return translate(self, *arguments)

    CycleGAN.translate = waiting  # type: ignore[method-assign]
    touch_when_stop_is_requested()


def kill_after_validation() -> None:
    from stylegan_lab.loggers.jsonl_logger import JSONLLogger

    log = JSONLLogger.log_metrics

    def last(self: JSONLLogger, metrics: Mapping[str, float], step: int | None = None) -> None:
        log(self, metrics, step)
        if "val/l1" in metrics:
            os.kill(os.getpid(), signal.SIGKILL)

    JSONLLogger.log_metrics = last  # type: ignore[method-assign]


@pytest.mark.parametrize(("every", "scored"), [(3, [3, 6, 8]), (8, [8])], ids=["on the way", "at the end"])
def test_a_signal_while_scores_are_taken_puts_them_off(every: int, scored: list[int], tmp_path: Path) -> None:
    command = ["experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "output_dir=run"]
    command += [
        f"callbacks.validation.every={every}",
        "callbacks.gan_failures=null",  # which translates images too
        "callbacks.checkpointing.every=0",
        "data.val_images=60",
        "data.batch_size=1",
    ]
    process = TrainProcess(command, tmp_path, wait_for_the_signal_in_validation)
    process.wait_until(lambda: (tmp_path / "scoring").exists())
    process.kill(signal.SIGTERM)
    assert process.wait() == 143
    assert (tmp_path / "translated").read_text() == "image\n", "the one that was begun, not all 60"
    assert newest_checkpoint(tmp_path).name == f"00000{every}.ckpt"
    command.append("callbacks.checkpointing.monitor=null")  # so that no score is a reason to save
    assert TrainProcess(command, tmp_path, kill_after_validation).wait() == -signal.SIGKILL
    assert TrainProcess(command, tmp_path).wait() == 0
    assert [row["iteration"] for row in metric_rows(tmp_path) if "val/l1" in row] == scored, (
        "when the run went on, and once"
    )
    assert max(row["iteration"] for row in metric_rows(tmp_path)) == 8
    again = TrainProcess(command, tmp_path)
    assert again.wait() == 0 and "nothing is left to train" in again.printed(), "nor are they taken once more"


def take_a_minute_for_each_step() -> None:
    """Let each step take a minute on the clock of the time limit, which does not run otherwise."""
    from stylegan_lab.callbacks import preemption
    from stylegan_lab.models.base import BaseModel

    start, clock = BaseModel.on_train_batch_start, SimpleNamespace(now=0.0)

    def a_minute_later(self: BaseModel, *arguments: Any) -> Any:
        clock.now += 60
        return start(self, *arguments)

    BaseModel.on_train_batch_start = a_minute_later  # type: ignore[method-assign]
    preemption.time = SimpleNamespace(monotonic=lambda: clock.now)  # type: ignore[assignment]
    preemption.PROCESS_START = 0.0


def test_a_run_leaves_before_its_time_is_over_and_goes_on(tmp_path: Path) -> None:
    process = TrainProcess([*LONG, "time_limit=0:08:30"], tmp_path, take_a_minute_for_each_step)
    assert process.wait() == 124
    assert "out of time at iteration 7 of 1000000, saved" in process.printed(), "two more steps could be too many"
    assert newest_checkpoint(tmp_path).stem == "000007"
    assert TrainProcess([*LONG, "iterations=9"], tmp_path).wait() == 0, "a finished run is not out of time"


@pytest.mark.parametrize(("limit", "meant"), [(90, 90), ("90", 90), ("1:30", 90), ("2:00:01", 7201)])
def test_a_time_limit_is_seconds_or_a_clock_s(limit: Any, meant: int) -> None:
    assert parse_time_limit(limit) == meant


@pytest.mark.parametrize("limit", ["soon", "1:2:3:4", "-5", "1.5h"])
def test_other_time_limits_are_refused(limit: str) -> None:
    with refused("config.invalid_time_limit", f"time_limit={limit}"):
        parse_time_limit(limit)


def interrupt(number: int) -> None:
    from stylegan_lab.training import fit

    build = fit.build_experiment

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), number)
        return build(*arguments)

    fit.build_experiment = interrupted  # type: ignore[attr-defined]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_a_signal_before_anything_is_played_just_ends_it(number: int, code: int, tmp_path: Path) -> None:
    process = TrainProcess(LONG, tmp_path, partial(interrupt, number))
    assert process.wait() == code
    assert "Traceback" not in process.printed()
    assert not (tmp_path / "run").exists()
