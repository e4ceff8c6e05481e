"""The only door to Hydra's instantiate: what may be built from a config, and how None leaves an entry out."""

from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf

from stylegan_lab.mistake import Mistake

HOME = "stylegan_lab"
ENTRY_POINTS = "stylegan_lab.trust"  # a package that declares one here is trusted without `trust=`
# Exact names, compared with what a target resolves to: a prefix such as `torch.` would let torch.load through.
ALLOWED = {
    "torch.optim.adam.Adam",
    "torch.optim.adamw.AdamW",
    "torch.optim.rmsprop.RMSprop",
    "torch.optim.sgd.SGD",
    "lightning.pytorch.trainer.trainer.Trainer",
    "lightning.pytorch.strategies.ddp.DDPStrategy",
    "lightning.pytorch.callbacks.early_stopping.EarlyStopping",
    "lightning.pytorch.callbacks.device_stats_monitor.DeviceStatsMonitor",
    "lightning.pytorch.callbacks.timer.Timer",
}


def instantiate(config: Any, trust: Iterable[str] = (), where: str = "") -> Any:
    """Build what `config` describes; `where` it stands is said when it cannot be."""
    trusted = {HOME, *trust, *(point.value.split(":")[0] for point in metadata.entry_points(group=ENTRY_POINTS))}
    plain = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    for place, target in _targets(plain, where):
        _check(place, target, trusted)
    try:
        return hydra_instantiate(plain, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, Mistake):
            raise error.__cause__ from None
        raise


def instantiate_each(configs: DictConfig, trust: Iterable[str] = (), where: str = "") -> dict[str, Any]:
    """Every entry that is not None: `callbacks.averaging=null` leaves one out."""
    entries = {str(name): each for name, each in configs.items() if each is not None}
    return {name: instantiate(each, trust, f"{where}.{name}") for name, each in entries.items()}


def _targets(config: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(config, dict):
        if isinstance(config.get("_target_"), str):
            yield where, config["_target_"]
        for key, value in config.items():
            yield from _targets(value, f"{where}.{key}".lstrip("."))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from _targets(value, f"{where}[{index}]")


def _check(where: str, target: str, trusted: set[str]) -> None:
    package = target.split(".")[0]
    known = package in trusted or target in ALLOWED or package in {name.split(".")[0] for name in ALLOWED}
    resolved = _resolve(where, target) if known else None
    name = f"{getattr(resolved, '__module__', '')}.{getattr(resolved, '__qualname__', '')}"
    if not known or not (name in ALLOWED or name.split(".")[0] in trusted):
        raise Mistake(
            f"{_dotted(where)}={target} is not allowed to be built from a config; "
            f"if it is code of yours, trust its package by name: trust=[{package}]"
        )


def _resolve(where: str, target: str) -> Any:
    try:
        return get_object(target)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise Mistake(f"{_dotted(where)}={target} cannot be found: {reason}") from None


def _dotted(where: str) -> str:
    return f"{where}._target_".lstrip(".")
