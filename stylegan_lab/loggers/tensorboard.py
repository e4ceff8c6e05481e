"""TensorBoard: event files in the run folder, for `tensorboard --logdir runs`."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from PIL import Image
from torch.utils.tensorboard.writer import SummaryWriter

from stylegan_lab.errors import UserError
from stylegan_lab.loggers.background_logger import BackgroundLogger
from stylegan_lab.runs.run import Run


def tensorboard_logger(run: Run) -> Logger:
    """Return the logger of the config choice `logger=tensorboard`."""
    if find_spec("tensorboard") is None:
        raise UserError(
            "logger.package_missing", "logger=tensorboard needs the extra `track`: pip install 'stylegan_lab[track]'"
        )
    return BackgroundLogger("tensorboard", lambda: TensorBoardLogger(run.folder / "tensorboard"))


class TensorBoardLogger(Logger):
    """Logs scalars and images."""

    name, version = "tensorboard", None

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._writer = SummaryWriter(str(folder))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Do nothing, because the hyperparameters are in config.yaml."""

    def log_image(self, key: str, images: list[str], step: int | None = None) -> None:
        for index, path in enumerate(images):
            with Image.open(path) as image:
                name = key if len(images) == 1 else f"{key}/{index}"
                self._writer.add_image(name, np.asarray(image), step, dataformats="HWC")

    def finalize(self, status: str) -> None:
        self._writer.close()
