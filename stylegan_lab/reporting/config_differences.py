"""Differences between configs. Configs are flattened to settings that can change a training, named as on the command line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stylegan_lab.config.flatten import flatten

# Parts of a config that are instantiated. The other parts are sources that these interpolate (model.loss: ${loss}).
INSTANTIATED = ("model", "data", "callbacks", "trainer", "strategy", "metrics")
NOT_SOURCES = ("logger", "vars", "sweep", "hydra")

# Where a run is stored and how it is monitored: none of this changes what is learned.
IGNORED = {
    *(
        "seed",
        "output_dir",
        "runs_dir",
        "name",
        "resume",
        "overwrite",
        "allow_changed_data",
        "time_limit",
        "evaluate",
        "dry_run",
        "trust",
        "metrics",
    ),
    *("callbacks.validation", "callbacks.samples", "callbacks.metric_logger", "callbacks.gan_failures"),
    *("callbacks.checkpointing", "callbacks.progress_bar", "data.num_workers", "trainer.log_every_n_steps"),
    *("trainer.profiler", "trainer.enable_model_summary", "trainer.detect_anomaly"),
    *("compile", "channels_last", "tf32", "optimizer.fused"),  # rounding only
}


@dataclass(frozen=True)
class ConfigDifferences:
    """The settings in which runs differ. `values` holds these settings for each run, with "" for a setting that the run
    does not have. `implied` lists the settings that differ only because another choice differs, such as arguments of a
    class that the other run does not use."""

    values: Sequence[Mapping[str, str]]
    shown: Sequence[str]
    implied: Sequence[str]
    common: Mapping[str, str]


@dataclass(frozen=True)
class ConfigSetting:
    value: Any
    owner: str  # key of the object or mapping that holds it; "" is the top level

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, ClassPath)


class ClassPath(str):
    """The `_target_` of an object in a config: the path of its class, or of the function that creates it."""


FlatConfig = Mapping[str, ConfigSetting]


def config_differences(configs: Sequence[Mapping[str, Any] | None]) -> ConfigDifferences:
    flat = [None if config is None else flatten_config(config) for config in configs]
    known = [each for each in flat if each is not None]
    differing, implied = [], []
    for key in dict.fromkeys(key for each in known for key in each):
        having = [each for each in known if key in each]
        distinct = {repr(each[key].value) for each in having}
        if len(distinct) > 1 or len(having) < len(known):
            differing.append(key)
            if len(distinct) == 1 and _follows_from_owner(having[0][key], known):
                implied.append(key)
    implied += [key for key in differing if key not in implied and _is_empty_elsewhere(known, key)]
    targets = _short_targets(each.value for config in known for each in config.values() if each.is_object)
    formatted = [{key: _format(each.value, targets) for key, each in (config or {}).items()} for config in flat]
    values = [{key: config.get(key, "") for key in differing} for config in formatted]
    common = {key: value for config in formatted for key, value in config.items() if key not in differing}
    return ConfigDifferences(values, [key for key in differing if key not in implied], implied, common)


def flatten_config(config: Mapping[str, Any]) -> dict[str, ConfigSetting]:
    """Return every setting that can change a training, under its name on the command line."""
    mappings = {name for name, part in config.items() if isinstance(part, dict)}
    sources = mappings.difference(INSTANTIATED, NOT_SOURCES)
    settings: dict[str, ConfigSetting] = {}
    for name, part in config.items():
        if name in mappings.intersection(INSTANTIATED):
            for key, value in _leaves(part, name):
                owner = key.rpartition(".")[0]
                settings[_command_line_key(key, sources)] = ConfigSetting(value, _command_line_key(owner, sources))
        elif name not in mappings:
            settings[name] = ConfigSetting(part, "")
    ignored = tuple(f"{key}." for key in IGNORED)
    return {key: setting for key, setting in settings.items() if not f"{key}.".startswith(ignored)}


def _command_line_key(key: str, sources: set[str]) -> str:
    """Return the name of a setting on the command line: model.loss.gan_loss is set as loss.gan_loss. Only keys of `model`
    are shortened; a key of `data` that is interpolated from the same group keeps its full name."""
    part, _, rest = key.partition(".")
    return rest if part == "model" and rest.split(".")[0] in sources else key


def _leaves(value: Any, key: str) -> Iterable[tuple[str, Any]]:
    """Yield the values below `key`. The class of an object is listed under the key of the object, before its arguments."""
    for name, each in flatten({key: value}):
        if isinstance(each, dict) and each:
            if "_target_" in each:
                yield name, ClassPath(each["_target_"])
        elif name.rpartition(".")[2] not in ("_target_", "_partial_", "_convert_", "_recursive_"):
            yield name, each


def _follows_from_owner(setting: ConfigSetting, known: Sequence[FlatConfig]) -> bool:
    """Whether the object that a setting belongs to is another one in some configs, or missing there."""
    owner = setting.owner
    while owner:
        owners = [each.get(owner) for each in known]
        found = next((each for each in owners if each), None)
        if found and found.is_object and len({repr(each and each.value) for each in owners}) > 1:
            return True
        owner = found.owner if found else owner.rpartition(".")[0]
    return False


def _is_empty_elsewhere(known: Sequence[FlatConfig], key: str) -> bool:
    """Whether `key` is an empty mapping in one config and has entries in another. Those entries are listed as settings of
    their own."""
    return any(each[key].value == {} for each in known if key in each) and any(
        setting.owner == key for each in known for setting in each.values()
    )


def _short_targets(targets: Iterable[ClassPath]) -> dict[str, str]:
    """Return the class name of each target, or its full path if two targets share a class name."""
    full = dict.fromkeys(map(str, targets))
    names = [target.rpartition(".")[2] for target in full]
    return {target: name if names.count(name) == 1 else target for target, name in zip(full, names, strict=True)}


def _format(value: Any, targets: Mapping[str, str]) -> str:
    if isinstance(value, ClassPath):
        return targets[value]
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{', '.join(_format(each, targets) for each in value)}]"
    return str(value)
