"""Support for a LightningModule that is not a BaseModel. Settings that cannot work for it are refused, or switched off with
a sentence in the log."""

import inspect
import io
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from hydra.utils import get_object
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, open_dict

from stylegan_lab.callbacks.checkpointing import Checkpointing
from stylegan_lab.callbacks.nan_guard import NaNGuard
from stylegan_lab.callbacks.plain_module import ATTRIBUTES
from stylegan_lab.config.instantiate import resolve_target
from stylegan_lab.config.paths import config_choices
from stylegan_lab.errors import UserError
from stylegan_lab.training.checks import target_of_choice


def replace_model_class(config: DictConfig, choices: Mapping[str, str]) -> dict[str, str]:
    """Adapt the config if `model._target_=mylab.MyModel` replaces the class of the chosen model. Settings that the new
    class does not take are dropped, and the name of the new class is returned as the choice."""
    choice = choices.get("model", "")
    replaced = target_of_choice("model", choice, inherited=True) if choice in config_choices("model") else None
    target = config.model.get("_target_")
    if replaced is None or target is None or target == replaced:
        return {}
    parameters = inspect.signature(resolve_target(config.model, config.trust, "model")).parameters
    with open_dict(config.model):
        for key in inspect.signature(get_object(replaced)).parameters:
            if key not in parameters:
                config.model.pop(key, None)
    return {"model": str(target).rpartition(".")[2]}


def check_plain_module(config: DictConfig, module: L.LightningModule) -> None:
    """Refuse settings and attributes with which a plain LightningModule would be trained wrongly."""
    name = type(module).__name__
    if config.micro_batches > 1:
        raise UserError(
            "model.micro_batches_unsupported",
            f"micro_batches={config.micro_batches} splits the batches of a BaseModel, but {name} is a plain LightningModule; "
            "leave micro_batches out and use a smaller data.batch_size",
        )
    if taken := [each for each in ATTRIBUTES if hasattr(module, each)]:
        raise UserError(
            "model.attribute_taken",
            f"{name} has an attribute {taken[0]}, which the training sets on every module; rename it",
        )
    saved = io.BytesIO()
    try:
        torch.save(dict(module.hparams), saved)
        saved.seek(0)
        torch.load(saved, weights_only=True)
    except Exception as error:
        raise UserError(
            "model.unsafe_hyperparameters",
            f"{name} saves hyperparameters that a checkpoint cannot hold: only plain values and tensors are possible; leave the "
            "others out with save_hyperparameters(ignore=[...])",
        ) from error


def switch_off_unsupported(
    config: DictConfig, module: L.LightningModule, callbacks: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the callbacks that can work with the module, and sentences that say what is switched off."""
    name = type(module).__name__
    lacking = {
        key: [each for each in getattr(callback, "needs", ()) if not hasattr(module, each)]
        for key, callback in callbacks.items()
    }
    off = {key: names for key, names in lacking.items() if names}
    left = {key: callback for key, callback in callbacks.items() if key not in off}
    listed = ", ".join(f"{key} ({', '.join(names)})" for key, names in off.items())
    notes = [f"{name} is a plain LightningModule; callbacks that need more of it are off: {listed}"] if off else []
    for key, callback in left.items():
        if isinstance(callback, NaNGuard) and callback.on_nan == "rollback":
            raise UserError(
                "model.rollback_unsupported",
                f"callbacks.{key}.on_nan=rollback lowers the learning rates of a BaseModel, but {name} sets its own learning "
                f"rates; set callbacks.{key}.on_nan=stop",
            )
        if isinstance(callback, Checkpointing) and "validation" in off and callback.monitor is not None:
            notes.append(f"there is no best checkpoint: {callback.monitor} is a score of the validation, which is off")
            callback.monitor = None
    if config.evaluate:
        notes.append(f"evaluate=true is off: {name} is not evaluated by this package")
        config.evaluate = False
    if is_overridden("validation_step", module):
        notes.append("validation_step is not run; log what it would with training_step, or train with L.Trainer")
    return left, notes
