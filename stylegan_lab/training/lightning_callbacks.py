"""Lightning's callbacks that cannot be used in this package, and the settings that replace them."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch.callbacks as lightning_callbacks
from lightning import Callback
from omegaconf import OmegaConf

from stylegan_lab.config.instantiate import check_is_group
from stylegan_lab.errors import UserError

_AVERAGED = "callbacks.ema averages the weights: set callbacks.ema.half_life_images=N"
_MANUAL = "it trains with automatic optimization, and here the players are optimized in turn"

REPLACEMENTS: Mapping[type[Callback], str] = {  # their subclasses are refused too
    lightning_callbacks.Checkpoint: "callbacks.checkpointing saves checkpoints that can be resumed exactly, after "
    "an error too: set "
    "callbacks.checkpointing.every=ITERATIONS, callbacks.checkpointing.monitor=SCORE and callbacks.checkpointing.keep=N",
    lightning_callbacks.EarlyStopping: "it counts epochs, and scores are computed every "
    "callbacks.validation.every=N iterations: set "
    "iterations=N, and callbacks.checkpointing.monitor=SCORE to keep the best checkpoint",
    lightning_callbacks.WeightAveraging: _AVERAGED,
    lightning_callbacks.StochasticWeightAveraging: _AVERAGED,
    lightning_callbacks.GradientAccumulationScheduler: "set micro_batches=N, which splits each batch into N parts",
    lightning_callbacks.BatchSizeFinder: f"{_MANUAL}. Set data.batch_size=N and micro_batches=N",
    lightning_callbacks.LearningRateFinder: f"{_MANUAL}. Set optimizer.lr=NUMBER",
    lightning_callbacks.BaseFinetuning: "it regroups the parameters of one optimizer, and here each player has one: "
    "freeze parameters in "
    "the model's constructor",
    lightning_callbacks.ModelPruning: "it renames parameters, and callbacks.ema and checkpoints find them by name",
    lightning_callbacks.SpikeDetection: "it reads one loss from training_step, and here each player has several: "
    "use callbacks.nan_guard",
}


def check_callback_names(config: Mapping[str, Any]) -> None:
    """Refuse callbacks of Lightning that cannot work in this package. This is checked before missing arguments are reported."""
    for name, entry in config.items():
        if entry is not None:
            check_is_group(f"callbacks.{name}", entry)
        target: str = OmegaConf.select(entry, "_target_") or "" if entry else ""
        package, _, kind = target.rpartition(".")
        if package.startswith("lightning.pytorch.callbacks"):
            _check_kind(f"callbacks.{name}._target_", getattr(lightning_callbacks, kind, Callback))


def check_callbacks(callbacks: Mapping[str, object]) -> None:
    """Refuse objects that are not callbacks, or that derive from a callback of Lightning that cannot work in this package."""
    for name, callback in callbacks.items():
        setting = f"callbacks.{name}._target_"
        if not isinstance(callback, Callback):
            raise UserError(
                "training.not_a_callback",
                f"{setting}: {type(callback).__name__} is not a callback; give a subclass of lightning.Callback",
            )
        _check_kind(setting, type(callback))
    bars = [name for name, callback in callbacks.items() if isinstance(callback, lightning_callbacks.ProgressBar)]
    if len(bars) > 1:
        raise UserError(
            "training.two_progress_bars",
            f"callbacks.{bars[0]} and callbacks.{bars[1]} are both progress bars; set callbacks.{bars[0]}=null",
        )


def _check_kind(setting: str, kind: type[Callback]) -> None:
    for refused, instead in REPLACEMENTS.items():
        if issubclass(kind, refused):
            raise UserError(
                "training.unsupported_callback", f"{setting}: {kind.__name__} cannot be used here: {instead}"
            )
