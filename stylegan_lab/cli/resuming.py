"""Going on with a run: its own overrides first, the new ones after; only budget and logging may differ."""

import inspect
import json
from collections.abc import Iterable, Set
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf, open_dict

from stylegan_lab.hardware import is_first, number_of_ranks
from stylegan_lab.instantiate import recorded
from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake
from stylegan_lab.runs import Run, find_run

if TYPE_CHECKING:
    from stylegan_lab.callbacks.finite import Diverged, Finite

MAY_DIFFER = ("iterations", "epochs", "images", "time_limit", "logger", "callbacks", "trainer", "strategy", "resume",
              "evaluate", "output_dir", "runs_dir", "name", "dry_run", "trust", "experiment", "metrics", "vars",
              "data.workers", "data.batch_size", "accumulate")  # fmt: skip
MAY_NOT = ("callbacks.averaging",)  # its averages are what the model is used with
BUDGETS = {"iterations", "epochs", "images"}


def overrides_to_resume(arguments: list[str], sweep: bool) -> list[str]:
    """The arguments, with those of the run that `resume=` or `output_dir=` points to put before them."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    output = given.get("output_dir")
    resume = given.get("resume", "auto" if output is not None else "null")
    if resume == "null" or (sweep and "resume" not in given):
        return arguments  # the jobs of a sweep go on by themselves
    if resume == "":
        raise Mistake("resume= is empty; give a run's folder or a checkpoint, or leave it out")
    if sweep:
        raise Mistake("resume= goes on with one run, and -m starts several: leave one of them out")
    if resume == "auto":
        if output is None:
            raise Mistake("resume=auto needs output_dir=FOLDER, where the run to go on with is kept")
        if not (Path(output) / "config.yaml").is_file():
            if Run(Path(output)).newest() is not None:
                Run(Path(output)).read("config.yaml")
            return [argument for argument in arguments if not argument.startswith("resume=")]
        resume = output
    elif output not in (None, "null") and Path(output).resolve() != find_run(resume)[0].folder:
        raise Mistake(f"resume={resume} goes on in its own folder; leave out output_dir={output}")
    run, checkpoint = find_run(resume)
    place = run.folder if checkpoint == "last" else run.checkpoint(checkpoint)
    asked = run.read("overrides.txt").splitlines()
    replaced = {_key(argument) for argument in arguments} | {"resume", "output_dir", "trust"}
    if BUDGETS & replaced:
        replaced |= BUDGETS
    kept = [override for override in asked if _key(override) not in replaced]
    mine = [argument for argument in arguments if _key(argument) not in ("resume", "output_dir")]
    return [*kept, *mine, f"resume={place}"]


def as_it_was(config: DictConfig) -> None:
    """Settings that the run at `resume` does not know, because they are newer than it, are left to the defaults of what takes
    them, which stand for how it was before; but not those that were asked for."""
    with open_dict(config):
        _forget_newer(config, settings_of(find_run(config.resume)[0]), _given(), "")


def _forget_newer(now: DictConfig, was: dict[str, Any], given: Set[str], place: str) -> None:
    for key in list(map(str, now)):
        if OmegaConf.is_interpolation(now, key):
            continue
        here, before = f"{place}.{key}".lstrip("."), was.get(key)
        if isinstance(now._get_node(key), DictConfig) and isinstance(before, dict):
            _forget_newer(now[key], before, given, here)
        elif key not in was and here not in given and _by_default(now.get("_target_"), was.get("_target_"), key):
            del now[key]


def _by_default(target: str | None, before: str | None, key: str) -> bool:
    if target is None or target != before:
        return False
    parameter = inspect.signature(get_object(target)).parameters.get(key)
    return parameter is not None and parameter.default is not parameter.empty


def starting_point(run: Run, config: DictConfig) -> Path | None:
    """The checkpoint that `resume=` means, once it is sure that the same experiment goes on. None: at the beginning."""
    _, name = find_run(config.resume)
    check_unchanged(run, recorded(config), _given())
    return newest_intact(run) if name == "last" else run.checkpoint(name)


def newest_intact(run: Run) -> Path | None:
    """The newest checkpoint that is whole; those that are not are named. None: none was ever written."""
    manifest = Manifest.of(run.checkpoints)
    damaged: list[str] = []
    for path in manifest.newest_first():
        if manifest.is_intact(path):
            if damaged and is_first():
                run.tell(f"{', '.join(damaged)} damaged; going back to {path.name}")
            return path
        damaged.append(path.name)
    if damaged:
        raise Mistake(
            f"{run.checkpoints}: every checkpoint is damaged ({', '.join(damaged)}); nothing is left to go on from. "
            "Start anew in another folder, or delete this one"
        )
    return None


def check_rollback(run: Run, diverged: "Diverged", finite: "Finite", rollbacks: int) -> Path:
    """Where to roll back to, if that is what to do after a divergence."""
    start = newest_intact(run)
    if finite.then == "rollback" and start is not None and rollbacks < finite.rollbacks:
        return start
    if finite.then == "rollback":
        diagnosis = f"{diverged}, after {rollbacks} rollbacks"
        advice = "Begin anew with a lower optimizer.lr, or model.clip_gradients=1"
    else:
        diagnosis = str(diverged)
        advice = (
            f"Roll back and go on more slowly: stylegan-lab train resume={run.folder} callbacks.finite.then=rollback; "
            "or begin anew with a lower optimizer.lr, or model.clip_gradients=1"
        )
    raise Mistake(f"stopped: {diagnosis}; {f'{start.name} is good' if start else 'nothing was saved before'}. {advice}")


def check_unchanged(run: Run, config: dict[str, Any], given: Set[str]) -> None:
    """Refuse, by name, every difference that would make it another experiment. Settings that the run does not know, because
    they are newer than it, are as they were (see `as_it_was`) unless they are `given`."""
    _check_batch(run, settings_of(run), config)
    if changed := settings_that_differ(run, config, MAY_DIFFER, given):
        raise Mistake(
            f"resume={run.folder} cannot change {', '.join(changed[:5])}{' and more' if len(changed) > 5 else ''}; "
            "budget, logging, devices, data.workers and callbacks but averaging may change. Start a new run for another experiment"
        )


def settings_that_differ(
    run: Run, config: dict[str, Any], may_differ: Iterable[str], given: Set[str] = frozenset()
) -> list[str]:
    """What makes `config` another experiment than the run's."""
    was, now = _flat(settings_of(run)), _flat(config)
    keys = [
        key
        for key in sorted(was.keys() | (now.keys() & given))
        if was.get(key) != now.get(key) and (not _under(key, may_differ) or _under(key, MAY_NOT))
    ]
    told = [key for key in keys if key.removeprefix("model.") not in keys or not key.startswith("model.")]
    return [f"{key}={now.get(key)} (was {was.get(key)})" for key in told]


def settings_of(run: Run) -> dict[str, Any]:
    text = run.read("config.yaml")
    damaged = Mistake(
        f"{run.folder} cannot go on: its config.yaml is damaged. Put it right, or start anew in another folder"
    )
    try:
        config: Any = OmegaConf.to_container(OmegaConf.create(text))
    except Exception as error:  # of a parser for each kind of damage
        raise damaged from error
    if not isinstance(config, dict) or not isinstance(config.get("data"), dict):
        raise damaged
    return config


def _check_batch(run: Run, before: dict[str, Any], config: dict[str, Any]) -> None:
    """The place in the data is counted in batches over all devices, so these must stay what they were."""
    ranks = json.loads(run.read("environment.json"))["world_size"]
    was = ranks, before["data"].get("batch_size", 1)
    now = number_of_ranks(OmegaConf.create(config)), config["data"].get("batch_size", 1)
    if prod(was) != prod(now):
        raise Mistake(
            f"resume={run.folder} cannot change the batch: it was {was[0]} x {was[1]} samples (devices x data.batch_size) and "
            f"would be {now[0]} x {now[1]}; their product has to stay {prod(was)}"
        )


def _under(key: str, places: Iterable[str]) -> bool:
    return any(key == place or key.startswith(f"{place}.") for place in places)


def _given() -> set[str]:
    return {_key(override) for override in HydraConfig.get().overrides.task}


def _key(override: str) -> str:
    return override.split("=")[0].lstrip("+~")


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(config, dict):
        return {prefix: config}
    return {
        key: value
        for name, each in config.items()
        for key, value in _flat(each, f"{prefix}.{name}".lstrip(".")).items()
    }
