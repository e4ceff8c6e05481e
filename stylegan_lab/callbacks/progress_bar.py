"""One progress bar for the whole training, with losses, images per second and the time left."""

import sys
import time
from collections import defaultdict

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.progress import BarColumn, TextColumn

from stylegan_lab.console import ProgressDisplay, format_seconds
from stylegan_lab.models.base import BaseModel

REFRESH_SECONDS = 1.0  # seconds between readings of the losses, each of which waits for the device


class TrainingProgressBar(ProgressBar):
    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._display: ProgressDisplay | None = None
        self._losses, self._losses_read = "", 0.0

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        """Show no progress bar. Lightning calls this method on every rank but the first."""
        self._enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        self._started, self._first_iteration = time.monotonic(), pl_module.iteration
        if self._enabled:
            columns = [BarColumn(10), TextColumn("{task.description}")]
            self._display = ProgressDisplay(sys.stdout, columns, "", pl_module.max_iterations, pl_module.iteration)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: object) -> None:
        if self._display is None:
            return
        fields = {"description": self._line(trainer, pl_module)} if self._display.is_bar else {}
        is_last = pl_module.iteration == pl_module.max_iterations
        self._display.update(pl_module.iteration, lambda: self._line(trainer, pl_module), is_last, **fields)

    def on_train_end(self, *_: object) -> None:
        if self._display is not None:
            self._display.close()
            self._display = None

    on_exception = on_train_end  # type: ignore[assignment]

    def _line(self, trainer: L.Trainer, module: BaseModel) -> str:
        now = time.monotonic()
        if now - self._losses_read > REFRESH_SECONDS:
            self._losses, self._losses_read = _latest_losses(trainer), now
        spent = now - self._started
        per_iteration = spent / max(1, module.iteration - self._first_iteration)
        left = per_iteration * ((module.max_iterations or module.iteration) - module.iteration)
        durations = f"{format_seconds(spent)}, {format_seconds(left)} left"
        warnings = "".join(f"  ! {warning}" for warning in sorted(module.active_warnings))
        return f"{module.iteration}/{module.max_iterations}  {durations}  {self._losses}{warnings}"


def _latest_losses(trainer: L.Trainer) -> str:
    """The latest logged losses, summed for each player, and the images per second."""
    sums: dict[str, float] = defaultdict(float)
    for name, value in trainer.callback_metrics.items():
        if name.startswith("loss/"):
            sums[name.removeprefix("loss/").split("_")[0]] += float(value)
        elif "loss" in name:  # of a plain LightningModule
            sums[name] = float(value)
    parts = [f"{player} {value:.2f}" for player, value in sums.items()]
    if (pace := trainer.callback_metrics.get("images_per_second")) is not None:
        parts.append(f"{float(pace):.1f} images/s")
    return ", ".join(parts)
