"""TensorBoard: event files under the run, for `tensorboard --logdir runs`."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from PIL import Image

from stylegan_lab.loggers.mirror import Mirror
from stylegan_lab.mistake import Mistake
from stylegan_lab.runs import Run


def tensorboard_logger(run: Run) -> Logger:
    if find_spec("tensorboard") is None:
        raise Mistake("logger=tensorboard needs the extra `track`: pip install 'stylegan_lab[track]'")
    return Mirror("tensorboard", lambda: TensorBoard(run.folder / "tensorboard"))


class TensorBoard(Logger):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    @property
    def name(self) -> str:
        return "tensorboard"

    @property
    def version(self) -> None:
        return None

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """The run's config.yaml says it already."""

    def log_image(self, key: str, images: list[str], step: int | None = None) -> None:
        for index, path in enumerate(images):
            with Image.open(path) as picture:
                name = key if len(images) == 1 else f"{key}/{index}"
                self._writer.add_image(name, np.asarray(picture), step, dataformats="HWC")

    def finalize(self, status: str) -> None:
        self._writer.close()
