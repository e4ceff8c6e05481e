"""Settings that differ: configs laid flat, named as on the command line, and reduced to what can change a training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of a config's parts, those that are used; the others are sources, which these take from (model.loss: ${loss}).
USERS = ("model", "data", "callbacks", "trainer", "strategy", "metrics")
SOURCELESS = ("logger", "vars", "sweep", "hydra")
# Where a run stands and how it is watched; nothing of it changes what is learnt.
IGNORED = {
    *("seed", "output_dir", "runs_dir", "name", "resume", "time_limit", "evaluate", "dry_run", "trust", "metrics"),
    *(f"callbacks.{name}" for name in ("scoring", "samples", "curves", "alarms", "checkpoints", "progress")),
    *(f"trainer.{name}" for name in ("log_every_n_steps", "profiler", "enable_model_summary", "detect_anomaly")),
    "data.workers",
}


@dataclass(frozen=True)
class Setting:
    value: Any
    owner: str  # the object or mapping it belongs to; "" is the config itself

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, Target)


Flat = Mapping[str, Setting]


class Target(str):
    """The class or function an object of the config is built by."""


@dataclass(frozen=True)
class Differences:
    """`of` are each run's values of what differs, "" where it has none; what follows from another choice is in `implied`."""

    of: Sequence[Mapping[str, str]]
    shown: Sequence[str]
    implied: Sequence[str]
    unknown: Mapping[str, Sequence[int]]  # settings that runs (by index) of an older version do not know
    same: Mapping[str, str]


def differences(configs: Sequence[Mapping[str, Any] | None]) -> Differences:
    flats = [None if config is None else flat(config) for config in configs]
    known = [each for each in flats if each is not None]
    unknown: dict[str, list[int]] = {}
    differing, implied = [], []
    for key in dict.fromkeys(key for each in known for key in each):
        having = [each for each in known if key in each]
        lacking = [(index, each) for index, each in enumerate(flats) if each is not None and key not in each]
        older = [index for index, each in lacking if not _is_filled(key, each) and _is_older(key, each, having)]
        if older:
            unknown[key] = older
        values = {repr(each[key].value) for each in having}
        if len(values) > 1 or len(having) + len(older) < len(known):
            differing.append(key)
            if len(values) == 1 and _follows(having[0][key], known):
                implied.append(key)
    implied += [key for key in differing if key not in implied and _is_empty_in(known, key)]
    names = _short_targets(each.value for flat in known for each in flat.values() if each.is_object)
    of = [{key: _told(each[key].value, names) if each and key in each else "" for key in differing} for each in flats]
    common = {key: setting for each in known for key, setting in each.items() if key not in differing}
    same = {key: _told(setting.value, names) for key, setting in common.items()}
    return Differences(of, [key for key in differing if key not in implied], implied, unknown, same)


def flat(config: Mapping[str, Any]) -> dict[str, Setting]:
    """Every setting that is used and matters, by the name it is given on the command line."""
    sources = {name for name, part in config.items() if isinstance(part, dict) and name not in (*USERS, *SOURCELESS)}
    settings: dict[str, Setting] = {}
    for name, part in config.items():
        if name in USERS and isinstance(part, dict):
            for key, value in _leaves(part, name):
                settings[_short(key, sources)] = Setting(value, _short(key.rpartition(".")[0], sources))
        elif not isinstance(part, dict):
            settings[name] = Setting(part, "")
    return {key: setting for key, setting in settings.items() if not _is_ignored(key)}


def _short(key: str, sources: set[str]) -> str:
    """model.loss.game is what loss.game says; what data takes from the same source keeps its long name."""
    user, _, rest = key.partition(".")
    return rest if user == "model" and rest.split(".")[0] in sources else key


def _leaves(value: Any, key: str) -> Iterable[tuple[str, Any]]:
    """An object stands under its own name, before its arguments."""
    if not isinstance(value, dict) or not value:
        yield key, value
        return
    if "_target_" in value:
        yield key, Target(value["_target_"])
    for name, each in value.items():
        if name not in ("_target_", "_partial_", "_convert_", "_recursive_"):
            yield from _leaves(each, f"{key}.{name}")


def _is_ignored(key: str) -> bool:
    parts = key.split(".")
    return any(".".join(parts[:length]) in IGNORED for length in range(1, len(parts) + 1))


def _is_older(key: str, lacking: Flat, having: Sequence[Flat]) -> bool:
    """Whether the same object is there all the same, so that only another version of it can lack the setting."""
    owner = having[0][key].owner
    if not owner:
        return True
    return owner in lacking and lacking[owner].value in [each[owner].value for each in having if owner in each]


def _is_filled(key: str, flat: Flat) -> bool:
    """Whether it is a mapping that has something in it here."""
    return any(other.startswith(f"{key}.") for other in flat)


def _follows(setting: Setting, known: Sequence[Flat]) -> bool:
    """Whether those that lack it build something else there, or nothing."""
    owner = setting.owner
    while owner:
        above = [each.get(owner) for each in known]
        found = next((each for each in above if each), None)
        if found and found.is_object and len({repr(each and each.value) for each in above}) > 1:
            return True
        owner = found.owner if found else owner.rpartition(".")[0]
    return False


def _is_empty_in(known: Sequence[Flat], key: str) -> bool:
    """Whether it is an empty mapping where others have something in it, which is told by itself."""
    return any(each[key].value == {} for each in known if key in each) and any(
        setting.owner == key for each in known for setting in each.values()
    )


def _short_targets(targets: Iterable[Target]) -> dict[str, str]:
    """Each by its own name, but where two have the same."""
    full = dict.fromkeys(map(str, targets))
    lasts = [target.rpartition(".")[2] for target in full]
    return {target: last if lasts.count(last) == 1 else target for target, last in zip(full, lasts, strict=True)}


def _told(value: Any, targets: Mapping[str, str]) -> str:
    if isinstance(value, Target):
        return targets[value]
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{', '.join(_told(each, targets) for each in value)}]"
    return str(value)
