"""Checks that a checkpoint contains all sections that a training needs to resume from it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.parameter import is_lazy

from stylegan_lab.callbacks.ema import EMA
from stylegan_lab.callbacks.rng_state import get_rng_state
from stylegan_lab.config.instantiate import config_to_record
from stylegan_lab.errors import UserError
from stylegan_lab.models.base import BaseModel
from stylegan_lab.training.experiment import Experiment

LIGHTNING_SECTIONS = {"epoch": 0, "global_step": 0, "pytorch-lightning_version": "", "loops": {"fit_loop": {}}}


def check_sections(path: Path, contents: Mapping[str, Any], experiment: Experiment) -> None:
    """Refuse a checkpoint that lacks a section, because the resumed training would give other results or fail later."""
    missing = [*_missing(expected_sections(contents, experiment), contents), *_wrong_counts(contents, experiment)]
    if missing:
        listed = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise UserError(
            "checkpoint.section_missing",
            f"{path} cannot be resumed, because {listed} {'is' if len(missing) == 1 else 'are'} missing or damaged. Resume from "
            "another checkpoint of the run, or start a new run",
        )


def expected_sections(contents: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """Return the expected sections of a checkpoint. The values only show the structure of a section, and None means any value.

    The state of a callback is expected if the run of the checkpoint had the same settings for this callback.
    """
    module = experiment.module
    before, now = (each.get("callbacks") or {} for each in (contents["config"], config_to_record(experiment.config)))
    callbacks = [each for name, each in experiment.callbacks.items() if before.get(name) == now.get(name)]
    expected: dict[str, Any] = {
        **LIGHTNING_SECTIONS,
        "state_dict": {},
        "callbacks": {each.state_key: None for each in callbacks if each.state_dict()},
        "rng_state": [get_rng_state(module.device)],
    }
    if isinstance(module, BaseModel):
        saved: dict[str, Any] = {"state_dict": module.state_dict()}
        with suppress(Exception):  # a hook may need a trainer, which there is not yet
            module.on_save_checkpoint(saved)
        if module.strict_loading:
            expected["state_dict"] = saved["state_dict"]
        expected |= {key: None for key in saved if key not in expected}
        if any(isinstance(each, EMA) for each in callbacks):
            expected["ema"] = {name: module.get_submodule(name).state_dict() for name in module.ema_networks}
    return expected


def _missing(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """Yield the keys that are in `expected` and not in `found`. Lists may differ in length, because they have an entry for
    each rank."""
    if isinstance(expected, Tensor):
        if not isinstance(found, Tensor) or (not is_lazy(expected) and found.shape != expected.shape):
            yield where
    elif isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            yield where
            return
        for key, value in expected.items():
            name = f"{where}.{key}".lstrip(".")
            yield from _missing(value, found[key], name) if key in found else [name]
    elif isinstance(expected, list) and expected:
        if not isinstance(found, list) or not found:
            yield where
            return
        for each in found if isinstance(expected[0], Mapping) else ():
            yield from _missing(expected[0], each, where)


def _wrong_counts(contents: Mapping[str, Any], experiment: Experiment) -> Iterator[str]:
    """Return the sections that do not have one entry for each player."""
    if isinstance(module := experiment.module, BaseModel):
        for section in ("optimizer_states", "lr_schedulers"):
            states = contents.get(section)
            if not isinstance(states, list) or len(states) != len(module.players):
                yield section
        for player, state in zip(module.players, contents.get("optimizer_states") or [], strict=False):
            if list(_missing(dict.fromkeys(("state", "param_groups")), state)):
                yield f"optimizer_states[{player.index}]"
