"""What is checked before anything is played: settings that belong to no group, and whether model and data fit."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import lightning as L
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from stylegan_lab.callbacks.checkpoints import Checkpoints
from stylegan_lab.callbacks.interruption import seconds
from stylegan_lab.callbacks.scoring import Scoring
from stylegan_lab.choice import choose, nearest
from stylegan_lab.conf_dir import CONF
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.evaluation.metrics import Metric, check_enough
from stylegan_lab.exam import markable, measurable
from stylegan_lab.hardware import check_hardware, strategy_arguments
from stylegan_lab.images.batch import WORDS, serves
from stylegan_lab.instantiate import plain
from stylegan_lab.marks import BETTER, NEEDS
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.modules.module import Module
from stylegan_lab.signature import check_arguments, check_value

REHEARSED = 32  # pixels

TYPES: dict[str, Any] = {
    "iterations": int | None, "epochs": int | None, "images": int | None, "seed": int, "overfit": int, "accumulate": int,
    "deterministic": bool | Literal["warn"], "evaluate": bool, "dry_run": bool, "trust": list[str],
    "output_dir": str | None, "runs_dir": str, "name": str | None, "resume": str | None,
    "time_limit": int | float | str | None,
}  # fmt: skip


INSTEAD = {
    "accumulate_grad_batches": "accumulate=N plays each batch in N parts",
    "gradient_clip_val": "model.clip_gradients=NORM clips each player's gradient",
    "gradient_clip_algorithm": "model.clip_gradients=NORM clips each player's gradient, by its norm",
    "use_distributed_sampler": "samples are shared out already, none twice",
    "limit_train_batches": "overfit=N repeats N batches, iterations=N plays so many",
    "default_root_dir": "output_dir=FOLDER is the run's folder",
    "precision": "precision=32, bf16, 16 or auto stands by itself",
}
CANNOT = {
    "deepspeed": "DeepSpeed drives one optimizer, and here each player has one",
    "fsdp": "FSDP shards a module whose parameters move together, and here players take turns",
    "colossalai": "ColossalAI drives one optimizer, and here each player has one",
    "ddp_find_unused": "gradients are averaged once a turn, by the module itself, which needs no search for unused ones",
}


def check_values(config: DictConfig) -> None:
    """Settings that belong to no group: their names, types and ranges, and whether the hardware can do as they say."""
    known = [*OmegaConf.load(CONF / "train.yaml"), *(path.name for path in CONF.iterdir() if path.is_dir())]
    if unknown := [str(key) for key in config if key not in known]:
        raise Mistake(f"{unknown[0]} is no setting{nearest(unknown[0], known)}; values of your own belong under vars")
    for key, hint in TYPES.items():
        check_value(key, plain(config)[key], hint)
    at_least("seed", config.seed, 0)
    at_least("overfit", config.overfit, 0)
    at_least("accumulate", config.accumulate, 1)
    if config.time_limit is not None:
        seconds(config.time_limit)
    check_hardware(config)
    if limits := [key for key in config.trainer if str(key).startswith(("max_", "min_"))]:
        raise Mistake(f"trainer.{limits[0]}: say how long with iterations=N, epochs=N or images=N")
    check_what_lightning_can(config)
    check_arguments("trainer", L.Trainer, plain(config.trainer), complete=False)
    check_arguments("strategy", L.Trainer, strategy_arguments(config), complete=False)


def check_what_lightning_can(config: DictConfig) -> None:
    """Settings of Lightning's that cannot work with players who take turns, and what does instead."""
    for group in ("trainer", "strategy"):
        for key in config[group]:
            if (instead := INSTEAD.get(str(key))) is not None:
                raise Mistake(f"{group}.{key} is Lightning's for a single optimizer: {instead}")
    named = str(config.strategy.strategy)
    if (why := next((why for name, why in CANNOT.items() if named.startswith(name)), None)) is not None:
        raise Mistake(
            f"strategy.strategy={named}: {why}. Use ddp: nets of this kind fit on one GPU, or play accumulate=2"
        )


def check_match(module: Module, data: ImageData, choices: Mapping[str, str]) -> None:
    """Whether the module can play with this data: the kind of batch, and a size every net can take."""
    model, source = choices.get("model", type(module).__name__), choices.get("data", type(data).__name__)
    if not serves(data.gives, module.takes):
        fitting_data = choices_that("data", lambda target: serves(getattr(target, "gives", None), module.takes))
        fitting_models = choices_that("model", lambda target: serves(data.gives, target.takes))
        raise Mistake(
            f"model={model} needs {WORDS[module.takes]}; data={source} has {WORDS[data.gives]} "
            f"(try data={' or '.join(fitting_data) or 'another'}, or model={' or '.join(fitting_models) or 'another'})"
        )
    check_classes(module, data, model, source)
    check_enlarging(module, data, model, source)
    for name, net in module.named_children():
        multiple, least = getattr(net, "multiple_of", 1), getattr(net, "at_least", 1)
        if name in module.averaged:
            multiple, least = multiple * data.factor, least * data.factor
        if data.size % multiple or data.size < least:
            near = max(least, multiple * max(1, round(data.size / multiple)))
            raise Mistake(
                f"data.size={data.size} does not fit {name} ({type(net).__name__}), which takes "
                f"{f'multiples of {multiple}' if multiple > 1 else 'sizes'} from {least} on; the nearest is data.size={near}"
            )


def check_classes(module: Module, data: ImageData, model: str, source: str) -> None:
    """Whether the classes a generator is told of are those that the data's labels number."""
    told, numbered = list(getattr(module, "classes", [])), [str(name) for name in getattr(data, "classes", [])]
    if told and told != numbered:
        raise Mistake(
            f"model={model} is told of the classes {', '.join(told)}, and labels of data={source} number "
            f"{', '.join(numbered) or 'none'}; give model.classes='${{data.classes}}', and data.classes=[...] to take some"
        )


def check_enlarging(module: Module, data: ImageData, model: str, source: str) -> None:
    """Whether pictures come out as much larger as the data's targets are."""
    for name in module.averaged:
        net = getattr(module, name)
        factor = getattr(net, "factor", 1)
        if factor == data.factor == 1:
            continue
        found = (
            f"{name} ({type(net).__name__}) makes pictures {factor} times as large, and data={source} has targets "
            f"{data.factor} times as large as inputs"
        )
        if factor > 1 < data.factor != factor:
            raise Mistake(f"{found}; give translator.factor={data.factor}")
        if factor != data.factor:
            raise Mistake(f"{found}; super-resolution takes translator=upscaler with data=superres or scenes_superres")
        if not module.enlarges:
            raise Mistake(
                f"model={model} has no game for larger pictures; super-resolution is model=perceptual model.paired=true"
            )


def rehearse(module: Module, data: ImageData) -> None:
    """A small empty picture through what will be used: nets that cannot work together are told of before a training."""
    nets = [getattr(module, name) for name in module.averaged]
    multiple, least = (max(getattr(net, key, 1) for net in nets) for key in ("multiple_of", "at_least"))
    side = multiple * -(-max(least, REHEARSED) // multiple)
    was_training = module.training
    try:
        with torch.random.fork_rng([]), torch.no_grad():
            module.eval().rehearse(data.channels, side, data.size)
    except NotImplementedError:
        return
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        made_of = ", ".join(type(net).__name__ for net in nets)
        raise Mistake(f"this model cannot work with {made_of}: {str(error).splitlines()[0]}") from error
    finally:
        module.train(was_training)


def check_monitor(callbacks: Mapping[str, Any], metrics: Mapping[str, Metric], module: Module, data: ImageData) -> None:
    """A best checkpoint is chosen by a score that is taken."""
    kept = callbacks.get("checkpoints")
    if isinstance(kept, Checkpoints) and kept.monitor is not None:
        taken = measurable(module, data)
        better = {f"val/{name}": metric.better for name, metric in metrics.items() if metric.against in taken}
        scoring, given = callbacks.get("scoring"), markable(module, data, "val")
        if isinstance(scoring, Scoring) and scoring.every > 0 and scoring.marks:
            better |= {f"val/{name}": BETTER[name] for name in BETTER if name in given}
        elif kept.monitor in {f"val/{name}" for name in given}:
            raise Mistake(f"{kept.monitor} is taken on request only; give callbacks.scoring.marks=true, and every > 0")
        needs = {f"val/{name}": words for name, words in NEEDS.items() if name not in given}
        if kept.monitor in needs:
            raise Mistake(f"{kept.monitor} takes {needs[kept.monitor]}; give another callbacks.checkpoints.monitor")
        chosen = choose("callbacks.checkpoints.monitor", kept.monitor, better)
        if kept.higher_is_better != (chosen == "higher"):
            raise Mistake(
                f"{kept.monitor} is better {chosen}; give callbacks.checkpoints.higher_is_better={str(chosen == 'higher').lower()}"
            )


def check_counts(
    callbacks: Mapping[str, Any], metrics: Mapping[str, Metric], module: Module, data: ImageData, evaluate: bool
) -> None:
    """Whether enough pictures are held out for every score that will be taken, before hours have gone by."""
    scoring = callbacks.get("scoring")
    scored = isinstance(scoring, Scoring) and scoring.every > 0
    side = data.size  # of what is measured
    made = scoring.pictures if isinstance(scoring, Scoring) and isinstance(module, GenerativeModule) else None
    for split in ["val"] * scored + ["test"] * evaluate:
        held_out = data.distinct(split)
        counts = (made, held_out[1]) if split == "val" and made else held_out
        for name, metric in metrics.items():
            if metric.against in measurable(module, data):
                check_enough(f"{split}/{name}", metric, side, *counts)


def choices_that(group: str, fits: Callable[[Any], bool]) -> list[str]:
    """The names of a group's choices whose target fits."""
    files = sorted((CONF / group).glob("*.yaml"))
    targets = {path.stem: OmegaConf.select(OmegaConf.load(path), "_target_") for path in files}
    return [name for name, target in targets.items() if target and fits(get_object(target))]
