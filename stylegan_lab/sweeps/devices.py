"""Devices shared out: which GPUs each of several trials at once sees, and how many threads it computes with."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence

THREADS = "OMP_NUM_THREADS"
VISIBLE = "CUDA_VISIBLE_DEVICES"


class Devices:
    """`needed` GPUs for each of `at_once` trials, or an equal share if that is None. With too few, those with the least to do."""

    def __init__(self, names: Sequence[str], at_once: int, needed: int | None, cores: int | None = None) -> None:
        self._needed = min(len(names), needed or max(1, len(names) // at_once))
        self._busy = Counter(dict.fromkeys(names, 0))
        self._threads = max(1, (cores or os.cpu_count() or 1) // at_once) if at_once > 1 else None

    def take(self) -> dict[str, str]:
        """What a trial's environment is to say; give it back when the trial is over."""
        environment = {THREADS: str(self._threads)} if self._threads and THREADS not in os.environ else {}
        if self._needed:
            names = list(self._busy)
            chosen = sorted(sorted(names, key=lambda name: (self._busy[name], names.index(name)))[: self._needed])
            self._busy.update(chosen)
            environment[VISIBLE] = ",".join(chosen)
        return environment

    def give_back(self, environment: Mapping[str, str]) -> None:
        if VISIBLE in environment:
            self._busy.subtract(environment[VISIBLE].split(","))


def visible_gpus() -> list[str]:
    """By the names that CUDA knows them by."""
    import torch

    count = torch.cuda.device_count()
    named = [name for name in os.environ.get(VISIBLE, "").split(",") if name]
    return named[:count] if named else [str(index) for index in range(count)]
