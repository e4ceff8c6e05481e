"""Several processes of one training: whoever is asked to leave, all save the same step and go on as if nothing had been."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.survival.test_chaos import differences, record, state

COMMAND = [
    sys.executable, "-m", "stylegan_lab", "train", "experiment=smoke", "logger=none", "evaluate=false", "deterministic=true",
    "strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2", "data.batch_size=1", "iterations=12",
    "callbacks.checkpoints.every=0", "trainer.log_every_n_steps=1", "model.pool_size=3", "output_dir=run",
]  # fmt: skip


def start(folder: Path) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        COMMAND, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(folder: Path) -> None:
    process = start(folder)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said


def children(process: Any) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_one_rank_that_is_asked_makes_all_save_the_same_step(tmp_path: Path) -> None:
    calm, asked = tmp_path / "calm", tmp_path / "asked"
    finish(calm)
    ask: list[Callable[[Any], int]] = [lambda process: process.pid, lambda process: children(process)[0]]
    for turn, whom in enumerate(ask):
        process = start(asked)
        played = 1 + (int(record(asked)[-1]["iteration"]) if turn else 0)
        while not ((asked / "run" / "metrics.jsonl").exists() and len(record(asked)) > played):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        os.kill(whom(process), signal.SIGTERM)
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 143, said
        assert "interrupted at iteration" in said and state(asked)["iteration"] < 12, said
    finish(asked)
    assert len(state(calm)["chance"]) == len(state(calm)["pools"]) == 2, "each rank has its own"
    assert differences(state(calm)["chance"][0], state(calm)["chance"][1])
    assert differences(state(calm), state(asked)) == []
    assert record(calm) == record(asked)
