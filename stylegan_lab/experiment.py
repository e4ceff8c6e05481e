"""An experiment: the objects that a composed config describes, checked against each other before anything is played."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from stylegan_lab.callbacks.atomic_io import AtomicIO
from stylegan_lab.callbacks.averaging import apply_averages
from stylegan_lab.callbacks.budget import Budget
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.images.batch import serves
from stylegan_lab.instantiate import instantiate, instantiate_each
from stylegan_lab.loggers.record import Record
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.module import Module
from stylegan_lab.runs import Run

BUDGETS = ("iterations", "epochs", "images")
DEFAULT_ITERATIONS = 20_000
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


def restore_module(checkpoint: dict[str, Any], raw: bool = False) -> Module:
    """The module a checkpoint describes, with averaged weights unless `raw`, ready for use."""
    module = build_module(OmegaConf.create(checkpoint["config"]))
    module.load_state_dict(checkpoint["state_dict"])
    module.iteration = checkpoint["iteration"]
    if not raw:
        apply_averages(module, checkpoint.get("ema", {}))
    return module.eval().requires_grad_(False)


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
    for key, least in {"overfit": 0, "seed": 0}.items():
        if not isinstance(config[key], int) or config[key] < least:
            raise Mistake(f"{key}={config[key]}: a whole number of at least {least} is expected")
    if limits := [key for key in config.trainer if str(key).startswith(("max_", "min_"))]:
        raise Mistake(f"trainer.{limits[0]}: say how long with iterations=N, epochs=N or images=N")
    precision(str(config.precision), str(config.strategy.accelerator))


def check_match(module: Module, data: ImageData, choices: Mapping[str, str]) -> None:
    """Whether the module can play with this data: the kind of batch, and a size every net can take."""
    model, source = choices.get("model", type(module).__name__), choices.get("data", type(data).__name__)
    if not serves(data.gives, module.takes):
        raise Mistake(
            f"model={model} takes {module.takes.__name__} batches; data={source} gives {data.gives.__name__}. "
            f"Choose data that gives {module.takes.__name__}, or a model that takes {data.gives.__name__}"
        )
    for name, net in module.named_children():
        multiple, least = getattr(net, "multiple_of", 1), getattr(net, "at_least", 1)
        if data.size % multiple or data.size < least:
            near = max(least, multiple * max(1, round(data.size / multiple)))
            raise Mistake(
                f"data.size={data.size} does not fit {name} ({type(net).__name__}), which takes multiples of {multiple} "
                f"from {least} on; the nearest is data.size={near}"
            )


def budget_in_iterations(config: DictConfig, data: ImageData, ranks: int) -> int:
    given = {unit: config[unit] for unit in BUDGETS if config[unit] is not None}
    if len(given) > 1:
        told = " and ".join(f"{unit}={value}" for unit, value in given.items())
        raise Mistake(f"{told} are two budgets; give one of iterations=N, epochs=N and images=N")
    ((unit, amount),) = given.items() or [("iterations", DEFAULT_ITERATIONS)]
    if not isinstance(amount, int) or amount < 1:
        raise Mistake(f"{unit}={amount}: a whole number of at least 1 is expected")
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
