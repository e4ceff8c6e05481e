"""Profile a training step: list torch.profiler's operators by self time.

python -m benchmarks.profile_step '{"overrides": ["model=cyclegan", "data.size=64"], "precision": "bf16"}'
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import table
from benchmarks.training_step import build, train
from stylegan_lab.training.warning_filters import silence_warnings


def main(overrides: Sequence[str], precision: str = "32", warmup: int = 1, rows: int = 15) -> dict[str, Any]:
    """Profile the iteration after `warmup` iterations. Returns the share of each operator in the self time of all
    operators, largest first."""
    silence_warnings()
    profiler = StepProfiler(warmup)
    train(build([*overrides, f"precision={precision}"], warmup + 1), profiler)
    events = profiler.profile.key_averages()
    times = {event.key: _own_microseconds(event) for event in events}
    total, calls = sum(times.values()), {event.key: event.count for event in events}
    largest = sorted(times, key=lambda name: -times[name])[:rows]
    shares = [
        {"operator": name, "share": times[name] / total, "ms": times[name] / 1e3, "calls": calls[name]}
        for name in largest
    ]
    return {"operators": shares, "total_ms": total / 1e3}


def _own_microseconds(event: Any) -> float:
    return float(event.self_device_time_total if torch.cuda.is_available() else event.self_cpu_time_total)


class StepProfiler(L.Callback):
    def __init__(self, warmup: int) -> None:
        gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
        self.profile, self._left = profile(activities=[ProfilerActivity.CPU, *gpu]), warmup

    def on_train_batch_start(self, *_: Any) -> None:
        if self._left == 0:
            self.profile.__enter__()
        self._left -= 1

    def on_train_end(self, *_: Any) -> None:
        self.profile.__exit__(None, None, None)


if __name__ == "__main__":
    result = main(**json.loads(sys.argv[1]))
    print(table(result["operators"]), file=sys.stderr)
    print(json.dumps(result))
