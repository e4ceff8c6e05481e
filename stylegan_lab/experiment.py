"""An experiment: the objects that a composed config describes, checked against each other before anything is played."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn

import stylegan_lab.resolvers  # noqa: F401  so that configs can be resolved
from stylegan_lab.callbacks.atomic_io import AtomicIO
from stylegan_lab.callbacks.averaging import apply_averages
from stylegan_lab.callbacks.budget import Budget
from stylegan_lab.callbacks.chance import Chance
from stylegan_lab.callbacks.cost import Cost
from stylegan_lab.callbacks.interruption import Interruption
from stylegan_lab.checks import check_counts, check_match, check_monitor, check_values, rehearse
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.evaluation.metrics import Metric, chosen
from stylegan_lab.hardware import check_shared_memory, number_of_ranks, precision, strategy_arguments
from stylegan_lab.instantiate import instantiate, instantiate_each, plain, recorded
from stylegan_lab.loggers.record import Record
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.runs import Run

BUDGETS = ("iterations", "epochs", "images")
DEFAULT_ITERATIONS = 20_000


@dataclass(frozen=True)
class Experiment:
    """A module and its data, made for each other, how long they play, and who watches."""

    config: DictConfig
    module: Module
    data: ImageData
    iterations: int
    callbacks: Mapping[str, L.Callback]
    loggers: Mapping[str, Callable[[Run], Logger]]  # beside the run's own record


def build(config: DictConfig, choices: Mapping[str, str]) -> Experiment:
    """`choices` are the names chosen per group, for messages in the user's words."""
    check_values(config)
    ranks = number_of_ranks(config)
    data = build_data(config)
    check_shared_memory(data.workers * ranks, data.batch_bytes)
    module = build_module(config)
    check_match(module, data, choices)
    module.prepare()
    rehearse(module, data)
    iterations = budget_in_iterations(config, data, ranks)
    callbacks = instantiate_each(config.callbacks, config.trust, "callbacks")
    metrics = build_metrics(config)
    check_monitor(callbacks, metrics, module, data)
    check_counts(callbacks, metrics, module, data, bool(config.evaluate))
    loggers = instantiate_each(config.logger, config.trust, "logger")
    return Experiment(config, module, data, iterations, callbacks, loggers)


def build_data(config: DictConfig) -> ImageData:
    data = instantiate(config.data, config.trust, "data")
    if not isinstance(data, ImageData):
        raise Mistake(f"data._target_={config.data._target_} is not a data module (a subclass of ImageData)")
    data.seed, data.overfit = config.seed, config.overfit
    if data.batch_size % (parts := config.get("accumulate", 1)):
        fitting = max(divisor for divisor in range(1, parts) if data.batch_size % divisor == 0)
        raise Mistake(
            f"accumulate={parts} plays each batch in {parts} equal parts, and data.batch_size={data.batch_size} is no multiple "
            f"of it; give accumulate={fitting}, or another data.batch_size (which counts all the parts)"
        )
    return data


def build_module(config: DictConfig) -> Module:
    L.seed_everything(config.seed, workers=True, verbose=False)
    module = instantiate(config.model, config.trust, "model")
    if not isinstance(module, Module):
        raise Mistake(f"model._target_={config.model._target_} is not a model (a subclass of Module)")
    module.config = recorded(config)
    module.accumulate = config.get("accumulate", 1)  # runs of before have none
    return module


def config_of(checkpoint: dict[str, Any], trust: Sequence[str] = ()) -> DictConfig:
    """The config a checkpoint carries. What code it may name is never its own to say."""
    return OmegaConf.create({**checkpoint["config"], "trust": list(trust)})


def restore_module(checkpoint: dict[str, Any], raw: bool = False, trust: Sequence[str] = ()) -> Module:
    """The module a checkpoint describes, with averaged weights unless `raw`, ready for use."""
    module = build_module(config_of(checkpoint, trust))
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        differing = ";".join(line.strip() for line in str(error).splitlines()[1:3])
        raise Mistake(
            f"the checkpoint does not fit the nets that its config describes, as this code builds them: {differing}"
        ) from error
    module.iteration = checkpoint["iteration"]
    if not raw:
        apply_averages(module, checkpoint.get("ema", {}))
    return module.eval().requires_grad_(False)


def build_metrics(config: DictConfig) -> dict[str, Metric]:
    """The built-in metrics, and those of the user's own."""
    return chosen(instantiate_each(config.metrics, config.trust, "metrics"))


def build_trainer(experiment: Experiment, run: Run) -> L.Trainer:
    try:
        return _trainer(experiment, run)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise Mistake(f"trainer or strategy: {str(error).splitlines()[0]}") from error


def _trainer(experiment: Experiment, run: Run) -> L.Trainer:
    config = experiment.config
    return L.Trainer(
        **plain(config.trainer),
        **strategy_arguments(config),
        precision=precision(str(config.precision), str(config.strategy.accelerator)),  # type: ignore[arg-type]
        deterministic=config.deterministic,
        callbacks=[
            Budget(experiment.iterations),
            Chance(),
            Cost(),
            *experiment.callbacks.values(),
            Interruption(config.time_limit),  # last, once the iteration has been watched by all others
        ],
        logger=[Record(run.metrics), *(make(run) for make in experiment.loggers.values())],
        plugins=[AtomicIO()],
        default_root_dir=run.folder,
        max_epochs=-1,
        num_sanity_val_steps=0,
        limit_val_batches=0,  # Scoring measures on held-out pictures, with averaged weights
        enable_checkpointing=False,  # Checkpoints saves, by our own counter
        use_distributed_sampler=False,  # EpochSampler shares samples out itself
    )


def budget_in_iterations(config: DictConfig, data: ImageData, ranks: int) -> int:
    given = {unit: config[unit] for unit in BUDGETS if config[unit] is not None}
    if len(given) > 1:
        told = " and ".join(f"{unit}={value}" for unit, value in given.items())
        raise Mistake(f"{told} are two budgets; give one of iterations=N, epochs=N and images=N")
    ((unit, amount),) = given.items() or [("iterations", DEFAULT_ITERATIONS)]
    at_least(unit, amount, 1)
    per_epoch = data.batches_per_epoch(ranks)
    each = {"iterations": 1.0, "epochs": float(per_epoch), "images": 1 / (data.batch_size * ranks)}
    return max(1, round(amount * each[unit]))


def parameter_counts(module: Module) -> dict[str, int]:
    return {name: _count(net) for name, net in module.named_children() if _count(net)}


def _count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
