"""JSONLLogger: writes metrics.jsonl, one line per logged step. Every run has it; other loggers are optional."""

import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from stylegan_lab.runs.metrics_file import append_line


class JSONLLogger(Logger):
    """Appends one line of JSON for each call. A line is written completely or not at all."""

    name, version = "record", ""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.version = path, path.parent.name

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        if values:
            line = json.dumps({"iteration": step, "time": round(time.time(), 3), **values})
            try:
                append_line(self.path, f"{line}\n".encode())
            except OSError as error:
                warnings.warn(f"{self.path}: {error.strerror}; iteration {step} is not logged", stacklevel=1)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing, because the hyperparameters are in config.yaml."""
