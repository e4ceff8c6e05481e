"""Sample grids: at regular intervals, images for the same held-out inputs show the progress of a training."""

from collections.abc import Mapping
from typing import Any, ClassVar

import lightning as L
from lightning.fabric.utilities import move_data_to_device

from stylegan_lab.callbacks.ema import evaluation_mode
from stylegan_lab.errors import check_at_least
from stylegan_lab.images.grid import grid
from stylegan_lab.images.image_io import write_image
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.run import Run


class SampleGrids(L.Callback):
    """Writes `samples/<iteration>.png` every `every` iterations and at the end of the training. With `every=0`, it writes none."""

    needs: ClassVar = ("sample_rows",)  # of the module

    def __init__(self, every: int = 1000, num_images: int = 8) -> None:
        check_at_least("callbacks.samples.every", every, 0)
        check_at_least("callbacks.samples.num_images", num_images, 1)
        self.every, self.num_images = every, num_images

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: BaseModel, *_: Any) -> None:
        if self.every and (pl_module.iteration % self.every == 0 or pl_module.iteration == pl_module.max_iterations):
            self._write_grid(trainer, pl_module)

    def _write_grid(self, trainer: L.Trainer, module: BaseModel) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        batch = move_data_to_device(data.first_batch("val", self.num_images), module.device)
        with evaluation_mode(trainer, module):
            rows = module.sample_rows(batch)
        if trainer.is_global_zero:
            names = list(rows) if isinstance(rows, Mapping) else ()
            images = list(rows.values()) if isinstance(rows, Mapping) else rows
            path = write_image(grid(images), Run.from_trainer(trainer).samples / f"{module.iteration:06d}.png", names)
            for logger in trainer.loggers:
                if hasattr(logger, "log_image"):
                    logger.log_image("samples", [str(path)], step=module.iteration)
                if hasattr(logger, "log_cells"):
                    logger.log_cells("samples_table", str(path), len(images), len(images[0]), step=module.iteration)
