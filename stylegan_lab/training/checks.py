"""Checks before training: settings outside the config groups, and whether the model, data and callbacks fit together."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Literal

import lightning as L
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.hooks import RemovableHandle

from stylegan_lab.callbacks.checkpointing import Checkpointing
from stylegan_lab.callbacks.preemption import parse_time_limit
from stylegan_lab.callbacks.validation import Validation
from stylegan_lab.config.instantiate import to_plain_container
from stylegan_lab.config.paths import CONF, config_choices
from stylegan_lab.config.schema import check_arguments, check_setting_type
from stylegan_lab.config.synonyms import synonym_error
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.evaluation.classifier_metrics import DIRECTIONS, REQUIREMENTS
from stylegan_lab.evaluation.evaluator import available_classifier_metrics, available_reference_sets
from stylegan_lab.evaluation.metrics import Metric, check_metric_inputs
from stylegan_lab.images.batch import batch_type_keys, describe_batch_type, is_compatible
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.suggestions import did_you_mean, lookup
from stylegan_lab.training.hardware import check_hardware, strategy_arguments

SETTING_TYPES: dict[str, Any] = {
    "iterations": int | None, "epochs": int | None, "images": int | None, "seed": int, "overfit_batches": int, "micro_batches": int,
    "deterministic": bool | Literal["warn"], "compile": bool | Literal["reduce-overhead", "max-autotune"],
    "channels_last": bool | Literal["auto"], "tf32": bool, "evaluate": bool, "dry_run": bool | Literal["time"], "trust": list[str],
    "overwrite": bool, "allow_changed_data": bool,
    "output_dir": str | None, "runs_dir": str, "name": str | None, "resume": str | None,
    "time_limit": int | float | str | None,
}  # fmt: skip

TRAINER_REPLACEMENTS = {
    "accumulate_grad_batches": "micro_batches=N splits each batch into N parts (Lightning's setting multiplies the batch)",
    "gradient_clip_val": "model.clip_gradients=NORM clips the gradient of each player's optimizer",
    "gradient_clip_algorithm": "model.clip_gradients=NORM clips the gradient of each player's optimizer by its norm",
    "use_distributed_sampler": "the sampler already gives each rank its own samples",
    "limit_train_batches": "overfit_batches=N repeats N batches, iterations=N trains N batches",
    "default_root_dir": "output_dir=FOLDER is the run's folder",
    "precision": "precision=32, bf16, 16 or auto is a setting of its own",
}

UNSUPPORTED_STRATEGIES = {
    "deepspeed": "DeepSpeed drives one optimizer, but each player here has its own",
    "fsdp": "FSDP shards a module whose parameters are optimized together, but players are optimized in turn",
    "colossalai": "ColossalAI drives one optimizer, but each player here has its own",
    "ddp_find_unused": "the module averages the gradients itself, once per optimizer step, so no search for unused ones is needed",
}


def check_values(config: DictConfig) -> None:
    """Check the settings outside the config groups: their names, types and ranges, and whether the hardware supports them."""
    known = [*OmegaConf.load(CONF / "train.yaml"), *(path.name for path in CONF.iterdir() if path.is_dir())]
    if unknown := [str(key) for key in config if key not in known]:
        if error := synonym_error(unknown[0]):
            raise error
        raise UserError(
            "config.unknown_setting",
            f"{unknown[0]} is not a setting{did_you_mean(unknown[0], known)}; put values of your own under vars",
        )
    settings = to_plain_container(config)
    for key, hint in SETTING_TYPES.items():
        check_setting_type(key, settings[key], hint)
    check_at_least("seed", config.seed, 0)
    check_at_least("overfit_batches", config.overfit_batches, 0)
    check_at_least("micro_batches", config.micro_batches, 1)
    if config.time_limit is not None:
        parse_time_limit(config.time_limit)
    check_hardware(config)
    if limits := [key for key in config.trainer if str(key).startswith(("max_", "min_"))]:
        limit = f"trainer.{limits[0]}"
        message = f"{limit} is not used: set iterations=N, epochs=N or images=N"
        raise synonym_error(limit) or UserError("config.synonym", message)
    if error := next(filter(None, (synonym_error(f"trainer.{key}") for key in config.trainer)), None):
        raise error
    for group in ("trainer", "strategy"):
        for key in config[group]:
            if (instead := TRAINER_REPLACEMENTS.get(str(key))) is not None:
                raise UserError("config.unsupported_setting", f"{group}.{key} is not used here; remove it: {instead}")
    named = str(config.strategy.strategy)
    if why := next((why for name, why in UNSUPPORTED_STRATEGIES.items() if named.startswith(name)), None):
        advice = "Use ddp, and micro_batches=2 if the GPU's memory is too small"
        raise UserError("device.unsupported_strategy", f"strategy.strategy={named}: {why}. {advice}")
    check_arguments("trainer", L.Trainer, to_plain_container(config.trainer), complete=False)
    check_arguments("strategy", L.Trainer, strategy_arguments(config), complete=False)


def check_model_fits_data(module: BaseModel, data: ImageDataModule, choices: Mapping[str, str]) -> None:
    """Refuse data whose batches the model cannot use, or whose image size a network cannot take."""
    model, source = choices.get("model", type(module).__name__), choices.get("data", type(data).__name__)
    if not data.serves(module.batch_type):
        fitting_data = matching_choices(
            "data", lambda it: is_compatible(getattr(it, "batch_type", None), module.batch_type)
        )
        fitting_models = matching_choices("model", lambda it: data.serves(it.batch_type))
        raise UserError(
            "model.data_mismatch",
            f"model={model} needs {describe_batch_type(module.batch_type)}; data={source} has {data.batch_description} "
            f"(try data={' or '.join(fitting_data) or 'another'}, or model={' or '.join(fitting_models) or 'another'})",
        )
    check_extra_draws(module, model)
    check_classes(module, data, source)
    check_upscaling(module, data, model, source)
    for name, net in module.named_children():
        multiple, minimum = getattr(net, "multiple_of", 1), getattr(net, "min_size", 1)
        if name in module.ema_networks:
            multiple, minimum = multiple * data.factor, minimum * data.factor
        if data.size % multiple or data.size < minimum:
            nearest = max(minimum, multiple * max(1, round(data.size / multiple)))
            raise UserError(
                "network.size_unsupported",
                f"data.size={data.size} does not fit {name} ({type(net).__name__}), which accepts "
                f"{f'multiples of {multiple}' if multiple > 1 else 'sizes'} from {minimum} on; the nearest is data.size={nearest}",
            )


def check_extra_draws(module: BaseModel, model: str) -> None:
    """Refuse `extra_draws` that name a key as their source which the model's batches do not have, or that use an existing
    key as a new name."""
    keys = batch_type_keys(module.batch_type)
    for name, source in module.extra_draws.items():
        if source not in keys or name in keys:
            have = f"the keys of its batch_type are {', '.join(keys)}"
            raise UserError(
                "model.invalid_extra_draws",
                f"model={model}: extra_draws={{{name!r}: {source!r}}} must map a new key to a key of its batches; {have}. "
                "Correct the class of the model",
            )


def check_classes(module: BaseModel, data: ImageDataModule, source: str) -> None:
    """Refuse a model whose classes differ from the classes of the data, or are in a different order."""
    of_model, of_data = list(getattr(module, "classes", [])), [str(name) for name in getattr(data, "classes", [])]
    if of_model and of_model != of_data:
        raise UserError(
            "model.classes_mismatch",
            f"model.classes=[{', '.join(of_model)}] does not match data={source}, which has the classes "
            f"[{', '.join(of_data)}]; set model.classes='${{data.classes}}' (and data.classes=[...] to use only some of them)",
        )


def check_upscaling(module: BaseModel, data: ImageDataModule, model: str, source: str) -> None:
    """Refuse a generator whose upscaling factor differs from the factor by which the data's targets are larger than its inputs."""
    for name in module.ema_networks:
        net = getattr(module, name)
        factor = getattr(net, "factor", 1)
        if factor == data.factor == 1:
            continue
        found = (
            f"{name} ({type(net).__name__}) enlarges images {factor} times, but data={source} has targets "
            f"{data.factor} times as large as the inputs"
        )
        if factor > 1 < data.factor != factor:
            raise UserError("model.factor_mismatch", f"{found}; set generator.factor={data.factor}")
        if factor != data.factor:
            raise UserError(
                "model.factor_mismatch",
                f"{found}; super-resolution needs generator=srresnet with data=superres or scenes_superres",
            )
        if not module.supports_upscaling:
            raise UserError(
                "model.no_super_resolution",
                f"model={model} cannot train on targets that are larger than the inputs; use "
                "model=perceptual model.paired=true for super-resolution",
            )


def sanity_check(module: BaseModel, data: ImageDataModule) -> None:
    """Apply the networks to an empty image of the data's size, so that a network that does not accept this size is reported
    before training."""
    was_training = module.training
    running: list[str] = []  # the networks whose forward pass has begun and not ended
    hooks = [hook for name, net in module.named_children() for hook in _record_running(name, net, running)]
    try:
        with torch.random.fork_rng([]), torch.no_grad():
            module.eval().sanity_check(data.channels, data.size, getattr(data, "factor", 1))
    except NotImplementedError:
        return
    except (RuntimeError, TypeError, IndexError, ValueError, AttributeError) as error:
        names = running[-1:] or [
            name for name, net in module.named_children() if next(net.parameters(), None) is not None
        ]
        networks = ", ".join(f"{name} ({type(module.get_submodule(name)).__name__})" for name in names)
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            "network.forward_failed",
            f"{networks} cannot be used with images of {data.channels}x{data.size}x{data.size}: {reason}. Choose another "
            "network or another data.size",
        ) from error
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()


def _record_running(name: str, network: nn.Module, running: list[str]) -> Iterator[RemovableHandle]:
    yield network.register_forward_pre_hook(lambda *_: running.append(name))
    yield network.register_forward_hook(lambda *_: _remove_last(running))


def _remove_last(running: list[str]) -> None:
    running.pop()


def check_monitor(
    callbacks: Mapping[str, Any], metrics: Mapping[str, Metric], module: Any, data: ImageDataModule
) -> None:
    """Refuse a checkpointing.monitor that this training does not compute, or whose direction contradicts
    checkpointing.higher_is_better."""
    checkpointing = callbacks.get("checkpointing")
    if isinstance(checkpointing, Checkpointing) and (monitor := checkpointing.monitor) is not None:
        references = available_reference_sets(module, data)
        directions = {f"val/{name}": each.direction for name, each in metrics.items() if each.reference in references}
        validation, available = callbacks.get("validation"), available_classifier_metrics(module, data, "val")
        if isinstance(validation, Validation) and validation.every > 0 and validation.classifier_metrics:
            directions |= {f"val/{name}": DIRECTIONS[name] for name in DIRECTIONS if name in available}
        elif monitor in {f"val/{name}" for name in available}:
            advice = "set callbacks.validation.classifier_metrics=true, and callbacks.validation.every > 0"
            raise UserError(
                "checkpoint.monitor_not_computed",
                f"callbacks.checkpointing.monitor={monitor} is not computed; {advice}",
            )
        needed = REQUIREMENTS.get(name := monitor.removeprefix("val/"))
        if needed and monitor == f"val/{name}" and name not in available:
            raise UserError(
                "checkpoint.monitor_unavailable",
                f"callbacks.checkpointing.monitor={monitor} needs {needed}; set another score",
            )
        direction = lookup("callbacks.checkpointing.monitor", monitor, directions)
        if checkpointing.higher_is_better != (direction == "higher"):
            setting = f"callbacks.checkpointing.higher_is_better={str(direction == 'higher').lower()}"
            raise UserError(
                "checkpoint.monitor_direction",
                f"callbacks.checkpointing.monitor={monitor}: a {direction} value of this score is better; set {setting}",
            )


def check_image_counts(
    callbacks: Mapping[str, Any],
    metrics: Mapping[str, Metric],
    module: Any,
    data: ImageDataModule,
    evaluate: bool,
) -> None:
    """Refuse a training whose scores need more held-out images than the data has."""
    validation = callbacks.get("validation")
    is_validated, generated = False, None
    if isinstance(validation, Validation):
        is_validated = validation.every > 0
        generated = validation.num_images if isinstance(module, GenerativeModel) else None
    for split in ["val"] * is_validated + ["test"] * evaluate:
        held_out = data.num_distinct(split)
        counts = (generated, held_out[1]) if split == "val" and generated else held_out
        for name, metric in metrics.items():
            if metric.reference in available_reference_sets(module, data):
                check_metric_inputs(f"{split}/{name}", metric, data.size, *counts)


def matching_choices(group: str, fits: Callable[[Any], bool], inherited: bool = False) -> list[str]:
    """Return the choices of a config group whose `_target_` fits. `inherited` includes choices that inherit their
    `_target_` from another choice."""
    targets = {name: target_of_choice(group, name, inherited) for name in config_choices(group)}
    return [name for name, target in targets.items() if target and fits(get_object(target))]


@cache
def target_of_choice(group: str, name: str, inherited: bool) -> str | None:
    config = OmegaConf.load(CONF / group / f"{name}.yaml")
    target: str | None = OmegaConf.select(config, "_target_")
    if target is None and inherited:
        parents = [each for each in OmegaConf.select(config, "defaults", default=[]) if each != "_self_"]
        return next((found for each in parents if (found := target_of_choice(group, str(each), True))), None)
    return target
