"""Progress: one bar for the whole budget, with losses, images per second and time left; plain lines where there is no terminal."""

import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.progress import BarColumn, Progress, TextColumn

from stylegan_lab.modules.module import Module

EVERY = 10.0  # seconds between lines
READING = 1.0  # seconds between looks at the losses, each of which waits for the device


class TrainingProgress(ProgressBar):
    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._bar: Progress | None = None
        self._losses, self._read = "", 0.0

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        """Called by Lightning on every rank but the first."""
        self._enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, Module)
        self._started = self._told = time.monotonic()
        self._first = pl_module.iteration
        if self._enabled and sys.stdout.isatty():
            self._bar = Progress(BarColumn(10), TextColumn("{task.description}"))
            self._bar.start()
            self._bar.add_task("", total=pl_module.budget, completed=pl_module.iteration)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        if not self._enabled:
            return
        if self._bar is not None:
            line = self._line(trainer, pl_module)
            self._bar.update(self._bar.task_ids[0], completed=pl_module.iteration, description=line)
        elif time.monotonic() - self._told > EVERY or pl_module.iteration == pl_module.budget:
            self._told = time.monotonic()
            print(self._line(trainer, pl_module), flush=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._close()

    def _line(self, trainer: L.Trainer, module: Module) -> str:
        now = time.monotonic()
        if now - self._read > READING:
            self._losses, self._read = _losses(trainer), now
        spent = now - self._started
        alarms = "".join(f"  ! {alarm}" for alarm in sorted(module.alarms))
        left = spent / max(1, module.iteration - self._first) * ((module.budget or module.iteration) - module.iteration)
        return f"{module.iteration}/{module.budget}  {_clock(spent)}, {_clock(left)} left  {self._losses}{alarms}"

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _losses(trainer: L.Trainer) -> str:
    """Losses summed per player, as last logged, and the pace."""
    sums: dict[str, float] = {}
    for name, value in trainer.callback_metrics.items():
        if name.startswith("loss/"):
            player = name.removeprefix("loss/").split("_")[0]
            sums[player] = sums.get(player, 0.0) + float(value)
    parts = [f"{player} {value:.2f}" for player, value in sums.items()]
    if (pace := trainer.callback_metrics.get("images_per_second")) is not None:
        parts.append(f"{float(pace):.1f} images/s")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
