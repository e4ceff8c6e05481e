"""Cost: what each sitting of a training took, in time, devices and memory, kept in cost.json however often it is resumed."""

import sys
import time
from contextlib import suppress
from typing import Any

import lightning as L
import torch

from stylegan_lab.modules.module import Module
from stylegan_lab.runs import Run

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

EVERY = 30.0  # seconds between writings, which a killed run loses at most


class Cost(L.Callback):
    """A sitting is one process's share of a run; what is played again after a fall counts again. Memory is the first rank's."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Module)
        on_gpu = pl_module.device.type == "cuda"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(pl_module.device)
        self._began = self._told = time.monotonic()
        self._before = Run.of(trainer).sittings()
        self._sitting: dict[str, Any] = {
            "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "first": pl_module.iteration,
            "ranks": trainer.world_size,
            "gpus": trainer.world_size if on_gpu else 0,
            "hardware": _hardware(pl_module.device, trainer.world_size),
        }

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if time.monotonic() - self._told > EVERY:
            self._write(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write(trainer, pl_module)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_began"):
            self._write(trainer, pl_module)

    def _write(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Module)
        self._told = time.monotonic()
        if not trainer.is_global_zero:
            return
        so_far = {
            "last": module.iteration,
            "seconds": round(self._told - self._began, 2),
            "peak_bytes": _peak_bytes(module.device),
        }
        with suppress(OSError):  # a full disk is told of elsewhere
            Run.of(trainer).record_cost([*self._before, self._sitting | so_far])


def _hardware(device: torch.device, ranks: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{ranks} x {name}" if ranks > 1 else name


def _peak_bytes(device: torch.device) -> int | None:
    """What had to be there: reserved on a GPU, resident of the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
