"""Hydra's errors, told in the user's words: what was given, what is wrong with it, what it may have meant."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationKeyError

from stylegan_lab.choice import nearest
from stylegan_lab.conf_dir import CONF
from stylegan_lab.mistake import Mistake

EXTRA_OF_GROUP = {"hydra/launcher": "cluster"}


def in_our_words(error: Exception, arguments: Sequence[str]) -> Mistake:
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_choice(error.missing_cfg_file, list(error.options or []))
    if isinstance(error, OverrideParseException):
        return Mistake(f"{error.override} is not understood: settings are KEY=VALUE, lists KEY=[A,B]")
    if isinstance(error, ConfigCompositionException) and (found := re.match(r"Could not override '(.+)'", str(error))):
        return _unknown_key(found[1], arguments)
    if isinstance(error, InterpolationKeyError) and (found := re.search(r"'data\.(\w+)' not found", str(error))):
        return _lacking(found[1], str(error.full_key))
    return Mistake(" ".join(str(error).split("\n\n")[0].split()))


def _lacking(name: str, key: str) -> Mistake:
    """A setting that is taken from the data, of data that have no such thing."""
    hint = "; data=labelled takes a folder for each class" if name == "classes" else ""
    return Mistake(f"{key} is that of the data, and these have no {name}{hint}; or give {key} itself")


def _unknown_choice(missing: str, options: list[str]) -> Mistake:
    group, _, name = missing.rpartition("/")
    if not options:
        options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    hint = f"; more come with pip install 'stylegan_lab[{EXTRA_OF_GROUP[group]}]'" if group in EXTRA_OF_GROUP else ""
    return Mistake(f"{group}={name} is unknown{nearest(name, options)}; choices: {', '.join(options)}{hint}")


def _unknown_key(key: str, arguments: Sequence[str]) -> Mistake:
    known = list(_known_keys([argument for argument in arguments if not argument.startswith(f"{key}=")]))
    if key in known:
        return Mistake(f"{key} can be added to: +{key}={{NAME: VALUE}}")
    parent, _, last = key.rpartition(".")
    beside = [name.removeprefix(f"{parent}.") for name in known if parent and name.startswith(f"{parent}.")]
    if beside:
        meant = nearest(last, beside)
        return Mistake(
            f"{key} is no setting{meant.replace('mean ', f'mean {parent}.') or f'; {parent} has: {_listed(beside)}'}"
        )
    same_end = [name for name in known if name.endswith(f".{last}")]
    meant = nearest(key, known) or (f" (did you mean {same_end[0]}?)" if same_end else "")
    return Mistake(f"{key} is no setting{meant or '; stylegan-lab train --cfg job shows all of them'}")


def _listed(names: list[str]) -> str:
    return ", ".join(name for name in names if not name.startswith("_"))


def _known_keys(arguments: Sequence[str]) -> Iterator[str]:
    """Groups, and every setting of what the other arguments compose."""
    yield from (str(path.relative_to(CONF)) for path in CONF.rglob("*") if path.is_dir())
    GlobalHydra.instance().clear()
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config = compose("train", overrides)
        except Exception:  # another mistake beside this one
            config = compose("train")
    yield from _flat(OmegaConf.to_container(config), "")


def _flat(config: Any, prefix: str) -> Iterator[str]:
    for name, value in config.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
