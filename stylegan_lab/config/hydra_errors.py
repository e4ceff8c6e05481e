"""Turns Hydra's errors into messages that name the setting, say what is wrong, and suggest what the user may have meant."""

import re
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, InterpolationKeyError, MissingMandatoryValue

from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.flatten import flatten
from stylegan_lab.config.paths import CONF, config_choices
from stylegan_lab.config.synonyms import synonym_error
from stylegan_lab.errors import UserError
from stylegan_lab.suggestions import did_you_mean

FOREIGN_DATA = (
    "; name a class of your own as data=datamodule data.datamodule._target_=CLASS or data=dataset "
    "data.dataset._target_=CLASS"
)
HINTS_FOR_MISSING_DATA_KEYS = {
    "classes": ", or use data=labelled, which has a folder for each class",
    "size": FOREIGN_DATA,
    "channels": FOREIGN_DATA,
}
EXTRA_OF_GROUP = {"hydra/launcher": "cluster"}


def to_user_error(error: Exception, arguments: Sequence[str]) -> UserError:
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_choice(error.missing_cfg_file, list(error.options or []))
    if isinstance(error, OverrideParseException):
        return UserError(
            "config.override_syntax",
            f"{error.override} cannot be parsed; write settings as KEY=VALUE, and lists as KEY=[A,B]",
        )
    if isinstance(error, ConfigCompositionException) and (found := re.match(r"Could not override '(.+)'", str(error))):
        return _unknown_key(found[1], arguments)
    if isinstance(error, MissingMandatoryValue) and error.full_key:
        return UserError("config.missing_setting", f"{error.full_key} is missing; set {error.full_key}=VALUE")
    if removed := _removed_setting(error, arguments):
        return UserError(
            "config.removed_setting",
            f"{removed} removes a setting that others need; leave it out, or choose another value as KEY=VALUE",
        )
    if isinstance(error, InterpolationKeyError) and (found := re.search(r"'data\.(\w+)' not found", str(error))):
        hint = HINTS_FOR_MISSING_DATA_KEYS.get(found[1], "")
        key = error.full_key
        return UserError(
            "config.missing_in_data",
            f"{key} is copied from data.{found[1]}, which this data config does not have; set {key}=VALUE{hint}",
        )
    return UserError("config.composition_failed", " ".join(str(error).split("\n\n")[0].split()))


def _removed_setting(error: Exception, arguments: Sequence[str]) -> str | None:
    """The argument, such as ~optimizer, that removes the key which the error misses."""
    if isinstance(error, InterpolationKeyError) and (found := re.search(r"Interpolation key '(.+?)'", str(error))):
        missing = found[1]
    elif isinstance(error, ConfigAttributeError):
        missing = error.full_key or ""
    else:
        return None
    keys = {each: each[1:].partition("=")[0] for each in arguments if each[:1] == "~"}
    return next((each for each, key in keys.items() if f"{missing}.".startswith(f"{key}.")), None)


def _unknown_choice(missing: str, options: list[str]) -> UserError:
    group, _, name = missing.rpartition("/")
    if error := synonym_error(f"{group}={name}"):
        return error
    options = options or list(config_choices(group))
    hint = f"; more come with pip install 'stylegan_lab[{EXTRA_OF_GROUP[group]}]'" if group in EXTRA_OF_GROUP else ""
    return UserError(
        "config.unknown_choice",
        f"{group}={name} is unknown{did_you_mean(name, options)}; choices: {', '.join(options)}{hint}",
    )


def _unknown_key(key: str, arguments: Sequence[str]) -> UserError:
    if error := synonym_error(key):
        return error
    known = list(_known_keys([argument for argument in arguments if not argument.startswith(f"{key}=")]))
    if key in known:
        return UserError(
            "config.plus_missing",
            f"{key} does not contain the setting that you give; add a new one with a plus: +{key}={{NAME: VALUE}}",
        )
    parent, _, last = key.rpartition(".")
    siblings = [name.removeprefix(f"{parent}.") for name in known if parent and name.startswith(f"{parent}.")]
    if siblings:
        listed = ", ".join(name for name in siblings if not name.startswith("_"))
        meant = did_you_mean(last, siblings).replace("mean ", f"mean {parent}.")
        return UserError("config.unknown_setting", f"{key} is not a setting{meant or f'; {parent} has: {listed}'}")
    same_end = [name for name in known if name.endswith(f".{last}")]
    meant = did_you_mean(key, known) or (f" (did you mean {same_end[0]}?)" if same_end else "")
    return UserError(
        "config.unknown_setting", f"{key} is not a setting{meant or '; stylegan-lab train --cfg job lists all of them'}"
    )


def _known_keys(arguments: Sequence[str]) -> Iterator[str]:
    """The config groups, and every setting of the config that the other arguments compose."""
    yield from (str(path.relative_to(CONF)) for path in CONF.rglob("*") if path.is_dir())
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", type=Path)
    flags, others = parser.parse_known_args(arguments)
    overrides = [argument for argument in others if not argument.startswith("-")]
    if flags.config_dir is not None:
        overrides.append(f"hydra.searchpath=[file://{flags.config_dir.absolute()}]")
    try:
        config = compose_config(overrides)
    except Exception:  # there is another error besides this one
        config = compose_config()
    yield from (key for key, _ in flatten(OmegaConf.to_container(config)))  # type: ignore[arg-type]
