"""An experiment: the objects that a composed config describes, checked against each other before anything is played."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import lightning as L
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from torch import nn

from stylegan_lab.callbacks.atomic_io import AtomicIO
from stylegan_lab.callbacks.averaging import apply_averages
from stylegan_lab.callbacks.budget import Budget
from stylegan_lab.choice import nearest
from stylegan_lab.conf_dir import CONF
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.evaluation.metrics import METRICS, Metric
from stylegan_lab.images.batch import WORDS, serves
from stylegan_lab.instantiate import instantiate, instantiate_each
from stylegan_lab.loggers.record import Record
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.runs import Run
from stylegan_lab.signature import check_arguments, check_value

BUDGETS = ("iterations", "epochs", "images")
DEFAULT_ITERATIONS = 20_000
TYPES: dict[str, Any] = {
    "iterations": int | None, "epochs": int | None, "images": int | None, "seed": int, "overfit": int,
    "deterministic": bool | Literal["warn"], "evaluate": bool, "dry_run": bool, "trust": list[str],
    "output_dir": str | None, "runs_dir": str, "name": str | None, "resume": str | None,
}  # fmt: skip
PRECISIONS = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Experiment:
    """A module and its data, made for each other, and how long they play."""

    config: DictConfig
    module: Module
    data: ImageData
    iterations: int


def build(config: DictConfig, choices: Mapping[str, str]) -> Experiment:
    """`choices` are the names chosen per group, for messages in the user's words."""
    check_values(config)
    data = build_data(config)
    module = build_module(config)
    check_match(module, data, choices)
    ranks = number_of_ranks(config)
    return Experiment(config, module, data, budget_in_iterations(config, data, ranks))


def build_data(config: DictConfig) -> ImageData:
    data = instantiate(config.data, config.trust, "data")
    if not isinstance(data, ImageData):
        raise Mistake(f"data._target_={config.data._target_} is not a data module (a subclass of ImageData)")
    data.seed, data.overfit = config.seed, config.overfit
    return data


def build_module(config: DictConfig) -> Module:
    L.seed_everything(config.seed, workers=True, verbose=False)
    module = instantiate(config.model, config.trust, "model")
    if not isinstance(module, Module):
        raise Mistake(f"model._target_={config.model._target_} is not a model (a subclass of Module)")
    module.config = plain(config)
    return module


def config_of(checkpoint: dict[str, Any], trust: Sequence[str] = ()) -> DictConfig:
    """The config a checkpoint carries. What code it may name is never its own to say."""
    return OmegaConf.create({**checkpoint["config"], "trust": list(trust)})


def restore_module(checkpoint: dict[str, Any], raw: bool = False, trust: Sequence[str] = ()) -> Module:
    """The module a checkpoint describes, with averaged weights unless `raw`, ready for use."""
    module = build_module(config_of(checkpoint, trust))
    module.load_state_dict(checkpoint["state_dict"])
    module.iteration = checkpoint["iteration"]
    if not raw:
        apply_averages(module, checkpoint.get("ema", {}))
    return module.eval().requires_grad_(False)


def build_metrics(config: DictConfig) -> dict[str, Metric]:
    """The built-in metrics, and those of the user's own."""
    return METRICS | instantiate_each(config.metrics, config.trust, "metrics")


def build_trainer(experiment: Experiment, run: Run) -> L.Trainer:
    config = experiment.config
    callbacks = [Budget(experiment.iterations), *instantiate_each(config.callbacks, config.trust, "callbacks").values()]
    loggers = [
        Record(run.metrics),
        *(make(run) for make in instantiate_each(config.logger, config.trust, "logger").values()),
    ]
    return L.Trainer(
        **plain(config.trainer),
        **plain(config.strategy),
        precision=precision(str(config.precision), str(config.strategy.accelerator)),  # type: ignore[arg-type]
        deterministic=config.deterministic,
        callbacks=callbacks,
        logger=loggers,
        plugins=[AtomicIO()],
        default_root_dir=run.folder,
        max_epochs=-1,
        num_sanity_val_steps=0,
        limit_val_batches=0,  # Scoring measures on held-out pictures, with averaged weights
        enable_checkpointing=False,  # Checkpoints saves, by our own counter
        use_distributed_sampler=False,  # EpochSampler shares samples out itself
    )


def check_values(config: DictConfig) -> None:
    """Settings that belong to no group: their names, types and ranges, and whether the hardware can do as they say."""
    known = [*OmegaConf.load(CONF / "train.yaml"), *(path.name for path in CONF.iterdir() if path.is_dir())]
    if unknown := [str(key) for key in config if key not in known]:
        raise Mistake(f"{unknown[0]} is no setting{nearest(unknown[0], known)}; values of your own belong under vars")
    for key, hint in TYPES.items():
        check_value(key, plain(config)[key], hint)
    at_least("seed", config.seed, 0)
    at_least("overfit", config.overfit, 0)
    check_hardware(config)
    if limits := [key for key in config.trainer if str(key).startswith(("max_", "min_"))]:
        raise Mistake(f"trainer.{limits[0]}: say how long with iterations=N, epochs=N or images=N")
    check_arguments("trainer", L.Trainer, plain(config.trainer), complete=False)
    check_arguments("strategy", L.Trainer, plain(config.strategy), complete=False)


def check_hardware(config: DictConfig) -> None:
    wanted, accelerator = str(config.precision), str(config.strategy.accelerator)
    has_gpu = torch.cuda.is_available()
    if accelerator in ("gpu", "cuda") and not has_gpu:
        raise Mistake("strategy.accelerator=gpu: no GPU is visible here; use strategy=cpu, or strategy=auto")
    if (named := precision(wanted, accelerator)) == "16-mixed" and (accelerator == "cpu" or not has_gpu):
        raise Mistake(f"precision={wanted} ({named}) needs a GPU; use precision=bf16, 32 or auto")
    devices = config.strategy.devices
    if has_gpu and accelerator != "cpu" and isinstance(devices, int) and devices > torch.cuda.device_count():
        raise Mistake(f"strategy.devices={devices}: {torch.cuda.device_count()} GPUs are visible here")


def check_match(module: Module, data: ImageData, choices: Mapping[str, str]) -> None:
    """Whether the module can play with this data: the kind of batch, and a size every net can take."""
    model, source = choices.get("model", type(module).__name__), choices.get("data", type(data).__name__)
    if not serves(data.gives, module.takes):
        fitting_data = choices_that("data", lambda target: serves(target.gives, module.takes))
        fitting_models = choices_that("model", lambda target: serves(data.gives, target.takes))
        raise Mistake(
            f"model={model} needs {WORDS[module.takes]}; data={source} has {WORDS[data.gives]} "
            f"(try data={' or '.join(fitting_data) or 'another'}, or model={' or '.join(fitting_models) or 'another'})"
        )
    for name, net in module.named_children():
        multiple, least = getattr(net, "multiple_of", 1), getattr(net, "at_least", 1)
        if data.size % multiple or data.size < least:
            near = max(least, multiple * max(1, round(data.size / multiple)))
            raise Mistake(
                f"data.size={data.size} does not fit {name} ({type(net).__name__}), which takes multiples of {multiple} "
                f"from {least} on; the nearest is data.size={near}"
            )


def choices_that(group: str, fits: Callable[[Any], bool]) -> list[str]:
    """The names of a group's choices whose target fits."""
    files = sorted((CONF / group).glob("*.yaml"))
    targets = {path.stem: OmegaConf.select(OmegaConf.load(path), "_target_") for path in files}
    return [name for name, target in targets.items() if target and fits(get_object(target))]


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


def number_of_ranks(config: DictConfig) -> int:
    """How many processes will play, from the strategy's numbers alone."""
    devices, nodes = config.strategy.devices, int(config.strategy.num_nodes)
    if isinstance(devices, int) and devices > 0:
        return devices * nodes
    if isinstance(devices, list | tuple) or OmegaConf.is_list(devices):
        return len(devices) * nodes
    return max(1, torch.cuda.device_count() if config.strategy.accelerator != "cpu" else 1) * nodes


def precision(wanted: str, accelerator: str) -> str:
    """Lightning's name for a precision; `auto` takes bf16 where the hardware multiplies in it."""
    if wanted == "auto":
        return "bf16-mixed" if _has_bf16(accelerator) else "32-true"
    if wanted not in PRECISIONS:
        raise Mistake(f"precision={wanted} is unknown; choices: auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[wanted]


def parameter_counts(module: Module) -> dict[str, int]:
    return {name: _count(net) for name, net in module.named_children() if _count(net)}


def plain(config: Any) -> dict[str, Any]:
    """Resolved dicts, lists and values, which any checkpoint reader may load."""
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def _count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _has_bf16(accelerator: str) -> bool:
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16") or features.get("bf16"))
