"""Describe this machine, and measure the FLOP/s that it reaches in a matrix product and in a convolution.

python -m benchmarks.machine '{"precision": "bf16"}'
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.measure import Cost, cost_of
from stylegan_lab.runs.environment import describe_environment

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
CHANNELS = 256  # those of a residual block at 256 px


def describe_machine() -> dict[str, Any]:
    described = describe_environment(1)
    del described["command"], described["world_size"]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return described | {"machine": platform.machine(), "cpu_flags": _cpu_flags(), "load_average": load}


def _cpu_flags() -> list[str]:
    """Return the vector and matrix instructions of the processor, as Linux lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return sorted(flag for flag in flags if flag.startswith(("avx", "amx", "fma", "asimd", "sve", "bf16", "i8mm")))


def measure_peaks(precision: str, quick: bool = False) -> dict[str, float]:
    """Return the FLOP/s, by wall time and per CPU second, of the best of several repeats and memory layouts."""
    dtype, device = DTYPES[precision], "cuda" if torch.cuda.is_available() else "cpu"
    repeats, size = (2, 256) if quick else (20, 4096 if device == "cuda" else 1024)
    batch = 16 if device == "cuda" else 1
    matmul = _matmul(size, dtype, device)
    layouts = (torch.contiguous_format, torch.channels_last)
    convolutions = [_convolution(batch, 16 if quick else 64, dtype, device, layout) for layout in layouts]
    return _best("matmul", [matmul], repeats) | _best("convolution", convolutions, repeats)


Workload = tuple[Callable[[], Any], float]  # a function, and its FLOPs


def _matmul(size: int, dtype: torch.dtype, device: str) -> Workload:
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return lambda: a @ b, 2.0 * size**3


def _convolution(batch: int, size: int, dtype: torch.dtype, device: str, layout: torch.memory_format) -> Workload:
    """Compute the forward and backward pass of a 3x3 convolution, with the gradients of the image and the weight."""
    image = torch.randn(batch, CHANNELS, size, size, device=device, dtype=dtype).contiguous(memory_format=layout)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, device=device, dtype=dtype)
    image.requires_grad_(), weight.requires_grad_()
    gradient = torch.randn_like(image)

    def run() -> None:
        torch.autograd.grad(F.conv2d(image, weight, padding=1), (image, weight), gradient)

    return run, 3 * 2.0 * batch * size**2 * CHANNELS**2 * 9


def _best(name: str, workloads: list[Workload], repeats: int) -> dict[str, float]:
    costs: list[tuple[float, Cost]] = []
    for run, flops in workloads:
        run()
        costs += [(flops, cost_of(run)) for _ in range(repeats)]
    return {
        f"{name}_flops": max(flops / cost.wall for flops, cost in costs),
        # Seconds of single repeats are too short for the clock of CPU seconds: their sum is taken.
        f"{name}_flops_per_cpu_second": sum(flops for flops, _ in costs)
        / max(1e-9, sum(cost.cpu for _, cost in costs)),
    }


if __name__ == "__main__":
    print(json.dumps(measure_peaks(**json.loads(sys.argv[1]))))
