"""Several processes of one training: whoever is asked to leave, all save the same step and go on as if nothing had been."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.training.test_chaos import differences, final_state, logged_metrics

COMMAND = [
    sys.executable, "-m", "stylegan_lab", "train", "experiment=smoke", "logger=none", "evaluate=false", "deterministic=true",
    "strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2", "data.batch_size=1", "iterations=12",
    "callbacks.checkpointing.every=0", "trainer.log_every_n_steps=1", "model.pool_size=3", "output_dir=run",
]  # fmt: skip


def start(folder: Path, command: Sequence[str] = COMMAND, **environment: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    everything = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(
        command, cwd=folder, env=everything, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(folder: Path) -> None:
    process = start(folder)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said


def second_rank(folder: Path, first: "subprocess.Popen[str]") -> int:
    """The process that the first rank has started. It works in the same folder, and may be forked from another process."""
    working = [path.parent.name for path in Path("/proc").glob("[0-9]*/cwd") if path.exists() and path.samefile(folder)]
    (rank,) = {int(pid) for pid in working} - {first.pid, os.getpid()}
    return rank


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="finds processes in /proc")
def test_one_rank_that_is_asked_makes_all_save_the_same_step(tmp_path: Path) -> None:
    uninterrupted, asked = tmp_path / "uninterrupted", tmp_path / "asked"
    finish(uninterrupted)
    for whom in (0, 1):
        process = start(asked)
        played = 1 + (int(logged_metrics(asked)[-1]["iteration"]) if whom else 0)
        while not ((asked / "run" / "metrics.jsonl").exists() and len(logged_metrics(asked)) > played):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        os.kill(second_rank(asked, process) if whom else process.pid, signal.SIGTERM)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 143, said
        assert "interrupted at iteration" in said and final_state(asked)["iteration"] < 12, said
    finish(asked)
    assert len(final_state(uninterrupted)["rng_state"]) == len(final_state(uninterrupted)["pools"]) == 2, (
        "each rank has its own"
    )
    assert differences(final_state(uninterrupted)["rng_state"][0], final_state(uninterrupted)["rng_state"][1])
    assert differences(final_state(uninterrupted), final_state(asked)) == []
    assert logged_metrics(uninterrupted) == logged_metrics(asked)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize(
    ("whom", "named"),
    [(1, "rank 1 of this training was ended by SIGKILL"), (0, "the process that started this one is gone")],
)
def test_a_lost_rank_ends_all_and_is_named(
    whom: int, named: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if whom == 1:  # a forked process has another parent than the one that started it, so it would not notice its end
        request.getfixturevalue("forked_processes")
    process = start(tmp_path, [*COMMAND, "iterations=100000", "callbacks.checkpointing.every=5"])
    while not ((tmp_path / "run" / "metrics.jsonl").exists() and len(logged_metrics(tmp_path)) > 10):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(second_rank(tmp_path, process) if whom else process.pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=30)  # until nobody can write to its pipe any more
    assert process.returncode != 0 and named in said and "is kept" in said, said
    assert named in (tmp_path / "run" / "log.txt").read_text()


ALONE = ["train", "experiment=smoke", "evaluate=false", "strategy=cluster", "strategy.accelerator=cpu", "strategy.devices=2",
         "data.batch_size=1", "callbacks.validation.every=2"]  # fmt: skip


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs" / "smoke").iterdir()
    return run


@pytest.mark.usefixtures("forked_processes")
def test_torchrun_starts_into_one_folder_and_one_wandb_run(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "stylegan_lab",
    ]
    process = start(tmp_path, [*command, *ALONE, "logger=wandb", "iterations=2"])
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert len(list((only_run(tmp_path) / "wandb").glob("offline-run-*"))) == 1
    assert json.loads((only_run(tmp_path) / "environment.json").read_text())["world_size"] == 2


@pytest.mark.usefixtures("forked_processes")
def test_srun_starts_into_the_folder_of_its_job_and_goes_on_there(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    job = {
        "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "lab", "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip
    command = [sys.executable, "-m", "stylegan_lab", *ALONE, "logger=none"]
    for iterations, begins in ((2, "0 of 2"), (4, "2 of 4")):
        tasks = [
            start(tmp_path, [*command, f"iterations={iterations}"], **job, SLURM_PROCID=rank, SLURM_LOCALID=rank)
            for rank in "01"
        ]
        said = "".join(task.communicate(timeout=300)[0] for task in tasks)
        assert [task.returncode for task in tasks] == [0, 0], said
        assert only_run(tmp_path).name == "slurm-4711" and f"{begins} iterations are done" in said
