"""Silences tips of libraries, and warnings about settings that this program chooses on purpose."""

import logging
import sys
import warnings
from collections.abc import Callable
from typing import TextIO

from stylegan_lab.config.paths import PACKAGE

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*The number of training batches.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*LeafSpec.*",
    ".*treespec.*",
    ".*anonymous setting has no effect.*",
    ".*you defined a `validation_step` but have no `val_dataloader`.*",
    ".*You passed in a `val_dataloader` but have no `validation_step`.*",
    ".*Trying to infer the `batch_size`.*",
    ".*max_epochs.*",
    ".*your dataloader is not resumable.*",  # EpochSampler starts where the module's counter says
)


def silence_warnings() -> None:
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.fabric.utilities.rank_zero",
        "lightning_utilities",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)  # by their full names: Lightning sets its own level later
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    if warnings.showwarning is not _show_warning:
        _SHOWN_BY_PYTHON.append(warnings.showwarning)
        warnings.showwarning = _show_warning


_SHOWN_BY_PYTHON: list[Callable[..., None]] = []


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of this program as a sentence, without the line of code that raised it."""
    if filename.startswith(str(PACKAGE)):
        print(f"warning: {message}", file=file or sys.stderr, flush=True)
    else:
        _SHOWN_BY_PYTHON[-1](message, category, filename, lineno, file, line)
