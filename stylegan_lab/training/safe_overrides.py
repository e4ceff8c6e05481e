"""Checks overrides that come from a run's folder, and overrides of Hydra itself, for what they would load or build.

A run's folder may come from somebody else. Its overrides can only choose configs of this installation and of the command
line's search path, and every object that they describe is checked by `config/instantiate.py`. They cannot change Hydra's
own settings, which Hydra would build without a check, or the list of trusted packages. They cannot read the environment, or
name a logger by its class: such a logger could send values of the environment, or the key of its service, to any server.
"""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf

from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.instantiate import check_targets, to_plain_container
from stylegan_lab.config.paths import CONF
from stylegan_lab.errors import UserError
from stylegan_lab.runs.reader import read_overrides
from stylegan_lab.runs.run import Run

REFUSED = {"hydra", "defaults"}  # the first part of a key
ONLY_ON_COMMAND_LINE = {"trust", "resume", "output_dir", "overwrite", "allow_changed_data"}
NODE = re.compile(r"\$\{[\w.\[\]-]+\}")  # an interpolation that calls no resolver


def overrides_of_run(run: Run, replaced: Container[str] = ()) -> list[Override]:
    """Return the recorded overrides, without the keys in `replaced` and the keys that only the command line may set.
    Overrides that affect more than the config are refused."""
    overrides = []
    for line in filter(None, map(str.strip, read_overrides(run))):
        where = f"{run.folder / 'overrides.txt'}: {line}"
        try:
            (override,) = OverridesParser.create().parse_overrides([line])
        except (HydraException, ValueError):
            raise UserError("run.overrides_damaged", f"{where} is not KEY=VALUE; remove the line") from None
        roots = set(_roots(override))
        if roots & REFUSED:
            raise UserError(
                "security.hydra_setting",
                f"{where} would change how Hydra itself runs, which the settings of a run may not do; remove the line, and give it "
                "on the command line if you need it",
            )
        if not _is_plain_choice(override):
            raise UserError(
                "security.config_path",
                f"{where} would load a config file by its path, which the settings of a run may not do; remove the line",
            )
        if roots & ONLY_ON_COMMAND_LINE or override_key(override) in replaced:
            continue
        again = "which the settings of a run may not do; give this setting on the command line, or remove the line"
        if "${" in NODE.sub("", line):
            raise UserError(
                "security.resolver",
                f"{where} reads an environment variable or uses another OmegaConf resolver, {again}",
            )
        if "logger" in roots and ("_target_" in line or "${" in line):
            raise UserError(
                "security.logger_class", f"{where} sets a class (_target_) or an interpolation in a logger, {again}"
            )
        overrides.append(override)
    return overrides


def parse_arguments(arguments: Iterable[str]) -> Iterator[Override]:
    """Return the overrides among the arguments of a command. Arguments that cannot be parsed are left out, because Hydra
    reports them."""
    for argument in arguments:
        try:
            yield from OverridesParser.create().parse_overrides([argument])
        except (HydraException, ValueError):
            continue


def check_hydra_callbacks(arguments: Sequence[str]) -> None:
    """Refuse callbacks of Hydra whose packages are not trusted. Hydra builds these callbacks before this program sees the
    config."""
    overrides = [each for each in parse_arguments(arguments) if not each.is_sweep_override()]
    if not any("hydra" in _roots(each) and "callbacks" in str(each.input_line) for each in overrides):
        return
    config = compose_config([str(each.input_line) for each in overrides], with_hydra=True)
    callbacks = to_plain_container(OmegaConf.create({"callbacks": config.hydra.callbacks or {}, "vars": config.vars}))[
        "callbacks"
    ]
    for name, described in callbacks.items():
        check_targets(described, config.trust, f"hydra.callbacks.{name}")


def override_key(override: Override) -> str:
    """Return the key of an override as Hydra reads it, without a prefix such as + and with a package such as @model."""
    return override.get_key_element().lstrip("+~")


def _roots(override: Override) -> Iterator[str]:
    """Return the first part of the key, and all parts of the package in which a group is placed. The package may begin with
    `_global_`."""
    yield re.split(r"[./]", override.key_or_group)[0]
    yield from re.split(r"[./]", override.package or "")


def _is_plain_choice(override: Override) -> bool:
    """Whether an override that can choose a file of a config group uses a plain name, and not a path or an interpolation."""
    key = override.key_or_group
    if override.is_delete() or "." in key:
        return True
    value: Any = override.value()
    choices = value if isinstance(value, list) else [value]
    is_plain = all(not isinstance(each, str) or re.fullmatch(r"[\w-][\w.-]*", each) for each in choices)
    return is_plain or key in OmegaConf.load(CONF / "train.yaml")
