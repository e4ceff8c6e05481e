"""Measures commands as a user types them: how long they take to start, and the cost of two commands at once."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import ROOT, Cost, cost_of

STYLEGAN_LAB = [sys.executable, "-m", "stylegan_lab"]
FIRST_STEP = ["train", "experiment=demo", "logger=none", "trainer.log_every_n_steps=1", "output_dir=run"]
SMOKE = ["train", "experiment=smoke", "logger=none", "evaluate=false", "callbacks.validation.every=0"]


def startup(quick: bool = False) -> dict[str, Cost]:
    """Measure the cost of `--help`, of `--version`, and of a training command until the end of its first step."""
    return {
        "--help": cost_of(lambda: run(["--help"])),
        "--version": cost_of(lambda: run(["--version"])),
        "first step of experiment=demo": first_step(["generator=resnet_tiny", "data.size=32"] if quick else []),
    }


def run(arguments: list[str]) -> None:
    start(arguments, ".").wait()


def start(arguments: list[str], folder: str) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*STYLEGAN_LAB, *arguments], cwd=folder, env=environment, **quiet)  # type: ignore[call-overload, no-any-return]


def first_step(overrides: list[str]) -> Cost:
    """Measure the time from the start of the command to the first line of its metrics.jsonl. CPU seconds are counted until
    the end of the process."""
    with tempfile.TemporaryDirectory() as folder:
        began, used = time.perf_counter(), children_cpu_seconds()
        process = start([*FIRST_STEP, *overrides], folder)
        while not (Path(folder) / "run" / "metrics.jsonl").is_file():
            if process.poll() is not None:
                raise RuntimeError(
                    f"{' '.join(FIRST_STEP)} ended before its first step, with exit code {process.returncode}"
                )
            time.sleep(0.01)
        wall = time.perf_counter() - began
        process.kill()
        process.wait()
        return Cost(wall, children_cpu_seconds() - used)


def two_runs(iterations: int) -> dict[str, Cost]:
    """Measure the cost of one training, and of two trainings at once until both have ended."""
    return {"one": cost_of(lambda: smoke_runs(1, iterations)), "two": cost_of(lambda: smoke_runs(2, iterations))}


def smoke_runs(count: int, iterations: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"iterations={iterations}", f"data.train_images={2 * iterations}"]
        processes = [start([*SMOKE, *settings, f"output_dir=run{index}"], folder) for index in range(count)]
        codes = [process.wait() for process in processes]
    if any(codes):
        raise RuntimeError(f"{' '.join(SMOKE)} failed, with exit codes {codes}")


def children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
