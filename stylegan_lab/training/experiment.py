"""Builds the objects that a composed config describes, and checks that they fit together before training starts."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

import stylegan_lab.data.resolvers  # noqa: F401  so that configs can be resolved
from stylegan_lab.callbacks.max_iterations import StopAtMaxIterations
from stylegan_lab.callbacks.plain_module import PlainModule
from stylegan_lab.callbacks.preemption import Preemption
from stylegan_lab.callbacks.rng_state import RNGState
from stylegan_lab.callbacks.session_recorder import SessionRecorder
from stylegan_lab.config.instantiate import (
    check_is_group,
    config_to_record,
    instantiate,
    instantiate_each,
    to_plain_container,
)
from stylegan_lab.config.schema import BUDGETS
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.evaluation.metrics import Metric, select_metrics
from stylegan_lab.loggers.jsonl_logger import JSONLLogger
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.checkpoint import read_checkpoint, write_checkpoint
from stylegan_lab.runs.run import Run
from stylegan_lab.training.checks import (
    check_image_counts,
    check_model_fits_data,
    check_monitor,
    check_values,
    sanity_check,
)
from stylegan_lab.training.hardware import (
    check_shared_memory,
    lightning_precision,
    limit_threads,
    strategy_arguments,
    world_size,
)
from stylegan_lab.training.lightning_callbacks import check_callback_names, check_callbacks
from stylegan_lab.training.network_checks import check_networks_fit_model
from stylegan_lab.training.plain_module import check_plain_module, switch_off_unsupported
from stylegan_lab.training.sample_coupling import check_sample_coupling
from stylegan_lab.training.speed import speed_callbacks, uses_cudnn_benchmark

DEFAULT_ITERATIONS = 20_000
LoggerFactory = Callable[[Run], Logger]


@dataclass(frozen=True)
class Experiment:
    """The objects of one training: a module and data that fit together, the number of iterations, callbacks and loggers."""

    config: DictConfig
    module: L.LightningModule
    data: ImageDataModule
    iterations: int
    callbacks: Mapping[str, L.Callback]
    loggers: Mapping[str, LoggerFactory]  # in addition to metrics.jsonl
    notes: Sequence[str] = ()  # on the feature network and on what is switched off, printed before the training

    def on_new_training(self) -> list[str]:
        """Prepare a new training, and return sentences for the log."""
        return self.module.on_new_training() if isinstance(self.module, BaseModel) else []


def build_experiment(config: DictConfig, choices: Mapping[str, str]) -> Experiment:
    """Build and check everything that a training needs. `choices` maps each config group to the chosen name, for use in
    messages."""
    check_values(config)
    ranks = world_size(config)
    data = build_data(config)
    check_shared_memory(data.num_workers * ranks, data.batch_bytes)
    check_networks_fit_model(config, choices)
    module, notes = build_module(config), list[str]()
    if isinstance(module, BaseModel):
        check_model_fits_data(module, data, choices)
        check_sample_coupling(module, config, data)
        notes += module.load_feature_networks()
        sanity_check(module, data)
    else:
        check_plain_module(config, module)
    iterations = budget_in_iterations(config, data, ranks)
    check_callback_names(config.callbacks)
    callbacks = instantiate_each(config.callbacks, config.trust, "callbacks")
    check_callbacks(callbacks)
    if not isinstance(module, BaseModel):
        callbacks, off = switch_off_unsupported(config, module, callbacks)
        notes += off
    metrics = build_metrics(config)
    check_monitor(callbacks, metrics, module, data)
    check_image_counts(callbacks, metrics, module, data, bool(config.evaluate))
    loggers = {
        str(name): build_logger_factory(f"logger.{name}", entry, config.trust)
        for name, entry in config.logger.items()
        if entry is not None
    }
    return Experiment(config, module, data, iterations, callbacks, loggers, notes)


def build_data(config: DictConfig) -> ImageDataModule:
    data = instantiate(config.data, config.trust, "data")
    if not isinstance(data, ImageDataModule):
        wrapper = "datamodule" if isinstance(data, L.LightningDataModule) else "dataset"
        raise UserError(
            "data.not_a_datamodule",
            f"data._target_={config.data._target_} is not a subclass of ImageDataModule; for a LightningDataModule or a Dataset of "
            f"dicts, set data={wrapper} data.{wrapper}._target_={config.data._target_}",
        )
    data.seed, data.overfit_batches = config.seed, config.overfit_batches
    if data.batch_size % (parts := config.micro_batches):
        fitting = max(divisor for divisor in range(1, parts) if data.batch_size % divisor == 0)
        raise UserError(
            "training.batch_not_divisible",
            f"micro_batches={parts} splits each batch into {parts} equal parts, but data.batch_size={data.batch_size} "
            f"is not a multiple of {parts}; give micro_batches={fitting}, or another data.batch_size (the size before splitting)",
        )
    return data


def build_module(config: DictConfig) -> L.LightningModule:
    limit_threads()
    L.seed_everything(config.seed, workers=True, verbose=False)
    module = instantiate(config.model, config.trust, "model")
    if isinstance(module, BaseModel):
        module.config, module.micro_batches = config_to_record(config), config.micro_batches
    elif not isinstance(module, L.LightningModule):
        raise UserError(
            "model.not_a_model",
            f"model._target_={config.model._target_} is not a model; give a subclass of LightningModule",
        )
    return module


def config_from_checkpoint(checkpoint: dict[str, Any], trust: Sequence[str] = ()) -> DictConfig:
    """Return the config in a checkpoint. The caller's `trust`, and not the checkpoint, decides which packages the config
    may load classes from."""
    return OmegaConf.create({**checkpoint["config"], "trust": list(trust)})


def restore_module(checkpoint: dict[str, Any], use_ema: bool = True, trust: Sequence[str] = ()) -> BaseModel:
    """Build the module that a checkpoint describes, with its EMA weights or its trained weights, in evaluation mode."""
    module = build_module(config_from_checkpoint(checkpoint, trust))
    if not isinstance(module, BaseModel):
        name = type(module).__name__
        raise UserError(
            "run.plain_module",
            f"this is a run of {name}, a plain LightningModule; use {name}.load_from_checkpoint in Python",
        )
    module.load_weights(checkpoint, use_ema)
    return module.eval().requires_grad_(False)


def default_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build_metrics(config: DictConfig) -> dict[str, Metric]:
    """Build the built-in metrics and the user's own metrics."""
    return select_metrics(instantiate_each(config.metrics, config.trust, "metrics"))


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint to resume from: the path of the file, and the contents that were read from the file."""

    path: Path
    contents: dict[str, Any]


def build_logger_factory(where: str, entry: DictConfig, trust: Sequence[str]) -> LoggerFactory:
    """Return a function that builds the logger of a config. It is called once the run exists, because the logger writes to
    the run's folder."""
    check_is_group(where, entry)
    return partial(_make_logger, where, instantiate({**to_plain_container(entry), "_partial_": True}, trust, where))


def _make_logger(setting: str, factory: "partial[Any]", run: Run) -> Logger:
    """Build a logger. A function is called with the run. A logger class gets the run's folder as `save_dir`, unless the
    config sets `save_dir`."""
    try:
        if not inspect.isclass(factory.func):
            logger = factory(run)
        elif "save_dir" in inspect.signature(factory.func).parameters.keys() - factory.keywords:
            logger = factory(save_dir=str(run.folder))
        else:
            logger = factory()
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:  # constructors of other packages raise anything
        raise UserError("config.build_failed", f"{setting} cannot be built: {str(error).splitlines()[0]}") from error
    if not isinstance(logger, Logger):
        raise UserError(
            "logger.not_a_logger", f"{setting} is not a logger; give a subclass of lightning.pytorch.loggers.Logger"
        )
    return logger


class AtomicCheckpointIO(CheckpointIO):
    """Lets Lightning write hashed checkpoints. When resuming, Lightning gets the contents that are already loaded, so that
    the file is not read again."""

    def __init__(self, loaded: LoadedCheckpoint | None = None) -> None:
        self._loaded = loaded

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        loaded, self._loaded = self._loaded, None  # Lightning frees the contents once they are restored
        return loaded.contents if loaded and loaded.path == Path(path) else read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def check_trainer(experiment: Experiment) -> None:
    """Build the trainer and its loggers in a temporary run folder, so that their errors are reported before training."""
    with TemporaryDirectory() as folder:
        build_trainer(experiment, Run(Path(folder)))


def build_trainer(experiment: Experiment, run: Run, loaded: LoadedCheckpoint | None = None) -> L.Trainer:
    config = experiment.config
    try:
        return L.Trainer(
            **to_plain_container(config.trainer) | {"benchmark": uses_cudnn_benchmark(config)},
            **strategy_arguments(config),
            precision=lightning_precision(str(config.precision), str(config.strategy.accelerator)),  # type: ignore[arg-type]
            deterministic=config.deterministic,
            callbacks=[
                *([] if isinstance(experiment.module, BaseModel) else [PlainModule(config_to_record(config))]),
                StopAtMaxIterations(experiment.iterations),
                RNGState(),
                SessionRecorder(),
                *speed_callbacks(config, experiment.module),
                *experiment.callbacks.values(),
                Preemption(config.time_limit),  # last, so that all others have handled the iteration
            ],
            logger=[JSONLLogger(run.metrics), *(make(run) for make in experiment.loggers.values())],
            plugins=[AtomicCheckpointIO(loaded)],
            default_root_dir=run.folder,
            max_epochs=-1,
            num_sanity_val_steps=0,
            limit_val_batches=0,  # Validation scores held-out images with the EMA weights
            enable_checkpointing=False,  # Checkpointing saves, by the number of iterations
            use_distributed_sampler=False,  # EpochSampler gives each rank its samples
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            "training.invalid_trainer", f"trainer or strategy cannot be used: {str(error).splitlines()[0]}"
        ) from error


def budget_in_iterations(config: DictConfig, data: ImageDataModule, ranks: int) -> int:
    """Return the number of iterations to train, computed from the one of `iterations`, `epochs` and `images` that is set."""
    given = {unit: config[unit] for unit in BUDGETS if config[unit] is not None}
    if len(given) > 1:
        both = " and ".join(f"{unit}={value}" for unit, value in given.items())
        raise UserError(
            "training.several_budgets",
            f"{both} contradict each other; give only one of iterations=N, epochs=N and images=N",
        )
    ((unit, amount),) = given.items() or [("iterations", DEFAULT_ITERATIONS)]
    check_at_least(unit, amount, 1)
    per_epoch = data.batches_per_epoch(ranks)
    each = {"iterations": 1.0, "epochs": float(per_epoch), "images": 1 / (data.batch_size * ranks)}
    return max(1, round(amount * each[unit]))
