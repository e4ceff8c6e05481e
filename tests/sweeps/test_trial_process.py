"""Trials as real trainings: on two devices, through a launcher, preempted and requeued, and in SLURM's script."""

import importlib.util
import json
import os
import signal
from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from tests.sweeps.test_sweep import SweepProcess, num_metric_rows, sweep_json

QUICK = ["experiment=smoke", "logger=none", "evaluate=false", "output_dir=swept"]
needs_submitit = pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="pip install .[cluster]")


@pytest.mark.usefixtures("forked_processes")
def test_both_processes_of_a_trial_on_two_devices_get_the_same_overrides() -> None:
    """A rank that ran the command of the sweep instead of the trial's would sample another point."""
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/own.yaml").write_text("# @package _global_\ndefaults:\n  - smoke\n\niterations: 2\n")
    ranks = ["strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2", "data.batch_size=1"]
    words = ["--config-dir", "mine", "sweep=smoke", "experiment=own", "sweep.n_trials=1", *ranks]
    assert run(["train", "-m", *words, *QUICK[1:]]) == 0
    assert json.loads(Path("swept/0/environment.json").read_text())["world_size"] == 2
    assert sorted(path.name for path in Path("swept").iterdir() if path.is_dir()) == ["0", "trials"]
    assert not Path("runs").exists() and not Path("multirun").exists()


def process_that_prints_to(log: Path) -> int:
    outputs = [each for each in Path("/proc").glob("[0-9]*/fd/1") if each.exists() and each.samefile(log)]
    (pid,) = {int(each.parts[2]) for each in outputs}
    return pid


@pytest.mark.slow
@needs_submitit
@pytest.mark.usefixtures("forked_processes")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds processes in /proc")
def test_a_preempted_job_saves_is_requeued_and_resumes() -> None:
    """Uses submitit's local executor: it sends the preemption signal, and runs the same function again."""
    sweep = SweepProcess(
        "-m", *QUICK, "seed=7", "iterations=30", "callbacks.validation.every=0", "callbacks.samples.every=30",
        "hydra/launcher=submitit_local", fake=False,
    )  # fmt: skip
    sweep.wait_until(lambda: num_metric_rows("0") >= 2)
    (job,) = [int(path.name) for path in Path("swept/.submitit").iterdir() if path.name.isdigit()]
    os.kill(process_that_prints_to(Path(f"swept/.submitit/{job}/{job}_0_log.out")), signal.SIGUSR2)
    output = sweep.finish(0)
    assert sweep_json()["states"] == {"complete": 1}, output
    log = Path("swept/0/log.txt").read_text()
    assert "interrupted at iteration" in log and "all 30 iterations are done" in log
    assert sweep_json()["trials"][0]["iteration"] == 30


@needs_submitit
def test_the_slurm_script_contains_the_launcher_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake sbatch stores the script, and fails."""
    Path("bin").mkdir()
    for name in ("sbatch", "srun"):
        Path("bin", name).write_text(f'#!/bin/sh\ncp "$1" {Path.cwd()}/script.sh\necho no such partition >&2\nexit 1\n')
        Path("bin", name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{Path.cwd() / 'bin'}:{os.environ['PATH']}")
    settings = ["partition=gpus", "gpus_per_node=2", "timeout_min=90", "additional_parameters={requeue:true}"]
    words = [f"{'+' * word.startswith('add')}hydra.launcher.{word}" for word in settings]
    assert run(["train", "-m", *QUICK, "seed=7", "hydra/launcher=submitit_slurm", *words]) == 2
    script = Path("script.sh").read_text()
    for line in ("--partition=gpus", "--gpus-per-node=2", "--time=90", "--signal=USR2@120", "--requeue"):
        assert f"#SBATCH {line}\n" in script
    assert "submitit.core._submit" in script and "srun" in script
    (trial,) = sweep_json()["trials"]
    assert trial["state"] == "failed" and "no such partition" in Path("swept/trials/0.txt").read_text()
