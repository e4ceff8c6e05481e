"""Silence what tells a user nothing: tips of libraries, and warnings about choices that were made on purpose."""

import logging
import warnings

ON_PURPOSE = (
    ".*does not have many workers.*",
    ".*The number of training batches.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*LeafSpec.*",
    ".*treespec.*",
    ".*anonymous setting has no effect.*",
    ".*you defined a `validation_step` but have no `val_dataloader`.*",
    ".*Trying to infer the `batch_size`.*",
    ".*max_epochs.*",
    ".*your dataloader is not resumable.*",  # EpochSampler starts where the module's counter says
)


def quiet() -> None:
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.fabric.utilities.rank_zero",
        "lightning_utilities",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)  # by their full names: Lightning sets its own level later
    for message in ON_PURPOSE:
        warnings.filterwarnings("ignore", message)
