"""Signals and the clock: the step is finished and saved, and the code says why the process left."""

import os
import signal
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stylegan_lab.callbacks.interruption import seconds
from stylegan_lab.loggers.record import read_record
from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake
from tests.survival.attempts import Attempt

LONG = [
    "experiment=smoke", "logger=none", "evaluate=false", "iterations=1000000", "schedule=constant", "callbacks.samples=null",
    "callbacks.scoring=null", "callbacks.checkpoints.every=0", "trainer.log_every_n_steps=1", "output_dir=run",
]  # fmt: skip


def rows(folder: Path) -> list[dict[str, float]]:
    path = folder / "run" / "metrics.jsonl"
    return read_record(path) if path.exists() else []


def newest(folder: Path) -> Path:
    return Manifest.of(folder / "run" / "checkpoints").newest_first()[0]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_signal_ends_the_step_saves_it_and_leaves_with_its_code(
    number: int, code: int, workers: int, tmp_path: Path
) -> None:
    """Sent to all processes, as a terminal and SLURM do; workers do not die of it before the step is done."""
    attempt = Attempt([*LONG, f"data.workers={workers}", "logger=tensorboard"], tmp_path)
    attempt.wait_until(lambda: len(rows(tmp_path)) >= 2)
    attempt.kill(number, group=True)
    assert attempt.wait(30) == code, attempt.said()
    left = int(rows(tmp_path)[-1]["iteration"])
    assert newest(tmp_path).name == f"{left:06d}.ckpt", "no step is lost, and none is recorded that was not saved"
    assert f"interrupted at iteration {left} of 1000000, saved" in attempt.said()
    assert f"stylegan-lab train resume={tmp_path}/run" in (tmp_path / "run" / "log.txt").read_text()
    assert list((tmp_path / "run" / "tensorboard").glob("events*")), "loggers were closed, not cut off"
    assert "Traceback" not in attempt.said() and "Error" not in attempt.said()


def sleep_in_a_step() -> None:
    from stylegan_lab.modules.module import Module

    Module.on_train_batch_start = lambda self, batch, batch_idx: time.sleep(60)  # type: ignore[assignment, method-assign]


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    attempt = Attempt(LONG, tmp_path, sleep_in_a_step)
    attempt.wait_until(lambda: "iterations are played" in attempt.said())
    time.sleep(1)
    attempt.kill(signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    attempt.kill(signal.SIGINT)
    assert attempt.wait(30) == -signal.SIGINT
    assert time.monotonic() - began < 10, "not the minute of the step"


def translate_slowly() -> None:
    from stylegan_lab.modules.cyclegan import CycleGAN

    translate = CycleGAN.translate

    def slowly(self: CycleGAN, *arguments: Any) -> Any:
        if self.iteration in (3, 8):
            Path("scoring").touch()
            time.sleep(0.5)
        return translate(self, *arguments)

    CycleGAN.translate = slowly  # type: ignore[method-assign]


def die_once_scored() -> None:
    from stylegan_lab.loggers.record import Record

    log = Record.log_metrics

    def last(self: Record, metrics: Mapping[str, float], step: int | None = None) -> None:
        log(self, metrics, step)
        if "val/l1" in metrics:
            os.kill(os.getpid(), signal.SIGKILL)

    Record.log_metrics = last  # type: ignore[method-assign]


@pytest.mark.parametrize(("every", "scored"), [(3, [3, 6, 8]), (8, [8])], ids=["on the way", "at the end"])
def test_a_signal_while_scores_are_taken_puts_them_off(every: int, scored: list[int], tmp_path: Path) -> None:
    command = ["experiment=smoke", "logger=none", "evaluate=false", "callbacks.samples=null", "output_dir=run"]
    command += [
        f"callbacks.scoring.every={every}",
        "callbacks.checkpoints.every=0",
        "data.val_scenes=60",
        "data.batch_size=1",
    ]
    attempt = Attempt(command, tmp_path, translate_slowly)
    attempt.wait_until(lambda: (tmp_path / "scoring").exists())
    attempt.kill(signal.SIGTERM)
    began = time.monotonic()
    assert attempt.wait() == 143
    assert time.monotonic() - began < 15, "not the 30 s that scoring would take"
    assert newest(tmp_path).name == f"00000{every}.ckpt"
    command.append("callbacks.checkpoints.monitor=null")  # so that no score is a reason to save
    assert Attempt(command, tmp_path, die_once_scored).wait() == -signal.SIGKILL
    assert Attempt(command, tmp_path).wait() == 0
    assert [row["iteration"] for row in rows(tmp_path) if "val/l1" in row] == scored, "when the run went on, and once"
    assert max(row["iteration"] for row in rows(tmp_path)) == 8
    again = Attempt(command, tmp_path)
    assert again.wait() == 0 and "nothing is left to play" in again.said(), "nor are they taken once more"


def test_a_run_leaves_before_its_time_is_over_and_goes_on(tmp_path: Path) -> None:
    attempt = Attempt([*LONG, "time_limit=0:00:08"], tmp_path)
    began = time.monotonic()
    assert attempt.wait(60) == 124
    assert time.monotonic() - began < 12
    assert "out of time at iteration" in attempt.said()
    left = int(newest(tmp_path).stem)
    assert left > 1
    assert Attempt([*LONG, f"iterations={left + 2}"], tmp_path).wait() == 0, "a finished run is not out of time"


@pytest.mark.parametrize(("limit", "meant"), [(90, 90), ("90", 90), ("1:30", 90), ("2:00:01", 7201)])
def test_a_time_limit_is_seconds_or_a_clock_s(limit: Any, meant: int) -> None:
    assert seconds(limit) == meant


@pytest.mark.parametrize("limit", ["soon", "1:2:3:4", "-5", "1.5h"])
def test_other_time_limits_are_refused(limit: str) -> None:
    with pytest.raises(Mistake, match="hours:minutes:seconds"):
        seconds(limit)


def interrupt(number: int) -> None:
    from stylegan_lab import experiment

    build = experiment.build

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), number)
        return build(*arguments)

    experiment.build = interrupted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_a_signal_before_anything_is_played_just_ends_it(number: int, code: int, tmp_path: Path) -> None:
    attempt = Attempt(LONG, tmp_path, partial(interrupt, number))
    assert attempt.wait() == code
    assert "Traceback" not in attempt.said()
    assert not (tmp_path / "run").exists()
