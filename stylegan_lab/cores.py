"""The CPU cores that this process may use, and how processes that run side by side share them."""

import os
from contextlib import suppress
from math import inf
from pathlib import Path

CORES_VARIABLE = "STYLEGAN_LAB_CORES"  # the cores of one trial of a sweep
THREADS_VARIABLE = "OMP_NUM_THREADS"
CGROUP = Path("/sys/fs/cgroup")


def num_cores() -> int:
    """Return the number of CPU cores that this process may use.

    The number follows from the CPU affinity of the process. The CPU quota of a container and, in a sweep, the trial's share of
    the cores can lower it.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = os.environ.get(CORES_VARIABLE) or allowed
    return max(1, int(min(allowed, float(share), cpu_quota())))


def cpu_quota(folder: Path = CGROUP) -> float:
    """Return how many cores the container's control group (version 2 or 1) may keep busy, or infinity if there is no limit."""
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        with suppress(OSError, ValueError):  # there is no such file, or "max"
            quota, period = (int(word) for name in names for word in (folder / name).read_text().split())
            return quota / period if quota > 0 else inf
    return inf


def threads_per_process(processes: int) -> str:
    """Return OMP_NUM_THREADS for one of several processes: the user's own value if it is set, or else an equal share of the
    cores."""
    return os.environ.get(THREADS_VARIABLE) or str(max(1, num_cores() // processes))
