"""Sample grids: the same held-out pictures, translated again every so often, so that progress can be seen."""

from typing import Any

import lightning as L

from stylegan_lab.callbacks.watching import looking
from stylegan_lab.images.grid import grid
from stylegan_lab.images.write import write_picture
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.runs import Run


class Samples(L.Callback):
    """Every `every` iterations and at the end: `samples/<iteration>.png`, `count` columns."""

    def __init__(self, every: int = 1000, count: int = 8) -> None:
        at_least("callbacks.samples.every", every, 1)
        at_least("callbacks.samples.count", count, 1)
        self.every, self.count = every, count

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        if pl_module.iteration % self.every == 0 or pl_module.iteration == pl_module.budget:
            self._draw(trainer, pl_module)

    def _draw(self, trainer: L.Trainer, module: Module) -> None:
        batch = {name: images.to(module.device) for name, images in trainer.datamodule.first("val", self.count).items()}  # type: ignore[attr-defined]
        with looking(trainer, module):
            rows = module.sample(batch)
        if trainer.is_global_zero:
            path = write_picture(grid(rows), Run.of(trainer).samples / f"{module.iteration:06d}.png")
            for logger in trainer.loggers:
                if hasattr(logger, "log_image"):
                    logger.log_image("samples", [str(path)], step=module.iteration)
                if hasattr(logger, "log_cells"):
                    logger.log_cells("samples_table", str(path), len(rows), len(rows[0]), step=module.iteration)
