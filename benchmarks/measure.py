"""Measures wall time, CPU seconds and peak memory, and summarizes repeats by their median and spread."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Cost:
    """Wall time in seconds, and the CPU seconds of all threads of this process and of the child processes that it has
    waited for."""

    wall: float
    cpu: float

    def __sub__(self, earlier: "Cost") -> "Cost":
        return Cost(self.wall - earlier.wall, self.cpu - earlier.cpu)


def now() -> Cost:
    """Return the cost so far. Waits for the GPU first, so that its work is included."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime)


def cost_of(action: Callable[[], Any]) -> Cost:
    start = now()
    action()
    return now() - start


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process in MB. On Linux it is read from VmHWM, because ru_maxrss can include
    the memory of the parent process."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def own_process(module: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Run `python -m benchmarks.MODULE SETTINGS` in a separate process, and return the JSON of the last line that it prints."""
    command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(settings)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"\nresults: {path}")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows with the same keys as a Markdown table. Floats have three significant digits."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([_cell(row[head]) for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
