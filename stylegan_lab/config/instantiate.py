"""The only module that calls Hydra's `instantiate`. Before anything is built, it checks that a config names only allowed
classes."""

import inspect
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from stylegan_lab.config.schema import check_arguments
from stylegan_lab.errors import UserError, remember_environment_value

HOME = "stylegan_lab"
# The parts of this program that configs build from. Functions of the others start trainings with a `trust` of their own, or
# write files.
BUILT_FROM = ("augmentation", "callbacks", "data", "evaluation", "images", "loggers", "losses", "models", "networks")
ENTRY_POINTS = "stylegan_lab.trust"  # a package that declares one here is trusted without `trust=`
OWN_VARIABLES = ("STYLEGAN_LAB_", "SLURM_")  # folders and numbers, no secrets
HYDRA_KEYS = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}

# Exact names, compared with what a target resolves to: a prefix such as `torch.` would let torch.load through.
ALLOWED = {
    "torch.optim.adam.Adam",
    "torch.optim.adamw.AdamW",
    "torch.optim.rmsprop.RMSprop",
    "torch.optim.sgd.SGD",
    "lightning.pytorch.strategies.ddp.DDPStrategy",
    "stylegan_lab.sweeps.sweep_plan.SweepSettings",
}
# Lightning's own classes, by the group that may name them. No other group may: the config of a model can come with a
# checkpoint. Objects among their arguments (the functions of a LambdaCallback, the `experiment` of a logger) are built from a
# `_target_` like any other, so they open no way to code that is not allowed.
ALLOWED_IN_GROUP = {"callbacks": "lightning.pytorch.callbacks.", "logger": "lightning.pytorch.loggers."}


def instantiate(config: Any, trust: Iterable[str] = (), where: str = "") -> Any:
    """Build the object that `config` describes. `where` is the key of this config, for error messages."""
    built = to_plain_container(
        config if OmegaConf.is_config(config) else OmegaConf.create(config, flags={"allow_objects": True})
    )
    for key, called, described in check_targets(built, trust, where):
        resolve_fused(called, described)
        given = {name: value for name, value in described.items() if name not in HYDRA_KEYS}
        check_arguments(key, called, given, complete=not described.get("_partial_"))
    try:
        return hydra_instantiate(built, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError("config.build_failed", f"{where} cannot be built: {str(cause).splitlines()[0]}") from error


def resolve_fused(called: Any, described: dict[str, Any]) -> None:
    """Replace `fused: auto` in the config of an optimizer by true if its class has a fused implementation, which updates all
    weights in one kernel. For other classes, the setting is removed."""
    if described.get("fused") == "auto":
        described["fused"] = True
        if "fused" not in inspect.signature(called).parameters:
            del described["fused"]


def check_targets(config: Any, trust: Iterable[str] = (), where: str = "") -> list[tuple[str, Any, dict[str, Any]]]:
    """Return every mapping with a `_target_` in a plain config: its key, the class or function of the target, and the mapping.
    Raises an error if a target is not allowed."""
    trusted = _trusted(trust)
    return [(key, _allowed(key, each["_target_"], trusted), each) for key, each in _targets(config, where)]


def instantiate_each(configs: Mapping[Any, Any], trust: Iterable[str] = (), where: str = "") -> dict[str, Any]:
    """Build every entry that is not None. A user can leave out a callback with `callbacks.ema=null`."""
    entries = {str(name): each for name, each in configs.items() if each is not None}
    for name, each in entries.items():
        check_is_group(f"{where}.{name}", each)
    return {name: instantiate(each, trust, f"{where}.{name}") for name, each in entries.items()}


def check_is_group(where: str, config: Any) -> None:
    """Refuse a single value such as `callbacks.ema=TEXT` where settings below the key have to describe the object."""
    if not isinstance(config, Mapping):
        raise UserError(
            "config.wrong_type",
            f"{where}={config} gives a single value, but {where} is a group of settings; set {where}.KEY=VALUE, or {where}=null to "
            "leave it out",
        )


def to_plain_container(config: Any) -> dict[str, Any]:
    """Return the config as resolved dicts, lists and plain values, which `torch.load` can read without this package."""
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def config_to_record(config: DictConfig) -> dict[str, Any]:
    """Return the config in the form that is written to files. It is resolved, except for environment variables, which may hold
    secrets."""

    def unresolved(*arguments: str) -> str:
        return f"${{oc.env:{','.join(map(str, arguments))}}}"

    OmegaConf.register_new_resolver("oc.env", unresolved, replace=True)
    try:
        return to_plain_container(config)
    finally:
        OmegaConf.register_new_resolver("oc.env", read_environment_variable, replace=True)


def read_environment_variable(name: str, *default: str | None) -> str | None:
    """Resolve `oc.env` like OmegaConf, and remember the value so that messages and loggers can hide it."""
    value = oc.env(name, *default)
    if name in os.environ and value and not name.startswith(OWN_VARIABLES):
        remember_environment_value(value, f"${{oc.env:{','.join(map(str, (name, *default)))}}}")
    return value


OmegaConf.register_new_resolver("oc.env", read_environment_variable, replace=True)


def _targets(config: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping below that has a `_target_`, with its key. Hydra resolves texts again, so none may hold an interpolation."""
    if isinstance(config, str) and "${" in config:
        raise UserError(
            "security.hidden_interpolation",
            f"{where}={config} contains an interpolation inside another one or after a backslash; "
            "write the value instead",
        )
    if isinstance(config, dict):
        if isinstance(config.get("_target_"), str):
            yield where, config
        for key, value in config.items():
            yield from _targets(value, f"{where}.{key}".lstrip("."))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from _targets(value, f"{where}[{index}]")


def _trusted(trust: Iterable[str]) -> set[str]:
    """The packages that configs may build from besides this one. One of them may be in the current folder."""
    if trust and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    return {*trust, *_packages_with_entry_point(tuple(sys.path))}


@cache
def _packages_with_entry_point(search_path: tuple[str, ...]) -> frozenset[str]:  # noqa: ARG001
    """The installed packages that are trusted without `trust=`. The metadata of all packages on the search path is read once,
    because that takes longer than building a network."""
    return frozenset(point.value.split(":")[0] for point in metadata.entry_points(group=ENTRY_POINTS))


def _allowed(where: str, target: str, trusted: set[str]) -> Any:
    """The class or function of a target if it is allowed. Packages that are not allowed are not even imported."""
    if target == "???":
        raise UserError("config.missing_setting", f"{where}._target_ is missing; set {where}._target_=PACKAGE.CLASS")
    package, setting = target.split(".")[0], f"{where}._target_={target}".lstrip(".")
    if package in trusted | {HOME} | {name.split(".")[0] for name in ALLOWED}:
        try:
            resolved = get_object(target)
        except Exception as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise UserError(
                "config.class_not_found", f"{setting} cannot be imported ({reason}); check the name"
            ) from None
        name = f"{getattr(resolved, '__module__', '')}.{getattr(resolved, '__qualname__', '')}"
        of_group = ALLOWED_IN_GROUP.get(where.split(".")[0])
        if of_group and inspect.isclass(resolved) and name.startswith(of_group):
            return resolved
        if name in ALLOWED or name.split(".")[0] in trusted or _is_building_block(resolved):
            return resolved
    if package == "pytorch_lightning":
        raise UserError("config.synonym", f"{setting}: write {target.replace(package, 'lightning.pytorch', 1)} instead")
    why = f"{setting} is not allowed to be built from a config"
    if package == HOME:
        raise UserError(
            "security.not_buildable",
            f"{why}; of this package, only the classes in {', '.join(f'{HOME}.{part}' for part in BUILT_FROM)} are allowed",
        )
    raise UserError(
        "security.untrusted_package", f"{why}. If it is your own code, trust its package: trust=[{package}]"
    )


def _is_building_block(resolved: Any) -> bool:
    """Return whether an object is a class or function of this package that configs may build. Methods such as
    `load_from_checkpoint` are not."""
    package, _, rest = str(getattr(resolved, "__module__", "")).partition(".")
    return package == HOME and rest.split(".")[0] in BUILT_FROM and "." not in getattr(resolved, "__qualname__", ".")


def resolve_target(config: Any, trust: Iterable[str], where: str) -> Any:
    """Return the class or function that a config names in `_target_`. Raises an error if it is not allowed."""
    return _allowed(where, config["_target_"], _trusted(trust))
