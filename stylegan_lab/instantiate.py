"""The only door to Hydra's instantiate: what may be built from a config, checked before anything is."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from stylegan_lab.mistake import Mistake
from stylegan_lab.signature import check_arguments

HOME = "stylegan_lab"
ENTRY_POINTS = "stylegan_lab.trust"  # a package that declares one here is trusted without `trust=`
HYDRA_S = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}
# Exact names, compared with what a target resolves to: a prefix such as `torch.` would let torch.load through.
ALLOWED = {
    "torch.optim.adam.Adam",
    "torch.optim.adamw.AdamW",
    "torch.optim.rmsprop.RMSprop",
    "torch.optim.sgd.SGD",
    "lightning.pytorch.strategies.ddp.DDPStrategy",
    "lightning.pytorch.callbacks.early_stopping.EarlyStopping",
    "lightning.pytorch.callbacks.device_stats_monitor.DeviceStatsMonitor",
    "lightning.pytorch.callbacks.timer.Timer",
}


def instantiate(config: Any, trust: Iterable[str] = (), where: str = "") -> Any:
    """Build what `config` describes; `where` it stands is said when it cannot be."""
    built = plain(config) if OmegaConf.is_config(config) else config
    if trust and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # a package beside the user counts as installed once it is trusted
    trusted = {HOME, *trust, *(point.value.split(":")[0] for point in metadata.entry_points(group=ENTRY_POINTS))}
    for place, described in _described(built, where):
        called = _allowed(place, described["_target_"], trusted)
        given = {key: value for key, value in described.items() if key not in HYDRA_S}
        check_arguments(place, called, given, complete=not described.get("_partial_"))
    try:
        return hydra_instantiate(built, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, Mistake):
            raise cause from None
        raise Mistake(f"{where} cannot be built: {str(cause).splitlines()[0]}") from error


def instantiate_each(configs: Mapping[Any, Any], trust: Iterable[str] = (), where: str = "") -> dict[str, Any]:
    """Every entry that is not None: `callbacks.averaging=null` leaves one out."""
    entries = {str(name): each for name, each in configs.items() if each is not None}
    return {name: instantiate(each, trust, f"{where}.{name}") for name, each in entries.items()}


def plain(config: Any) -> dict[str, Any]:
    """Resolved dicts, lists and values, which any checkpoint reader may load."""
    return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]


def recorded(config: DictConfig) -> dict[str, Any]:
    """A config as it may be written down: resolved, but for what it takes from the environment, which may be secret."""

    def named(*arguments: str) -> str:
        return f"${{oc.env:{','.join(map(str, arguments))}}}"

    OmegaConf.register_new_resolver("oc.env", named, replace=True)
    try:
        return plain(config)
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _described(config: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything below that names a target, with the place it stands at."""
    if isinstance(config, dict):
        if isinstance(config.get("_target_"), str):
            yield where, config
        for key, value in config.items():
            yield from _described(value, f"{where}.{key}".lstrip("."))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from _described(value, f"{where}[{index}]")


def _allowed(where: str, target: str, trusted: set[str]) -> Any:
    """What a target names, if it may be built; packages that may not are not even imported."""
    package, setting = target.split(".")[0], f"{where}._target_={target}".lstrip(".")
    if package in trusted | {name.split(".")[0] for name in ALLOWED}:
        resolved = _resolved(setting, target)
        name = f"{getattr(resolved, '__module__', '')}.{getattr(resolved, '__qualname__', '')}"
        if name in ALLOWED or name.split(".")[0] in trusted:
            return resolved
    raise Mistake(
        f"{setting} is not allowed to be built from a config; "
        f"if it is code of yours, trust its package by name: trust=[{package}]"
    )


def _resolved(setting: str, target: str) -> Any:
    try:
        return get_object(target)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise Mistake(f"{setting} cannot be found: {reason}") from None
