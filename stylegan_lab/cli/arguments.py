"""The arguments of `train`, which are Hydra's flags and overrides, and the parser that the other commands use."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from stylegan_lab.config.overrides import to_hydra_override
from stylegan_lab.errors import UserError
from stylegan_lab.suggestions import did_you_mean

FLAGS = {"-h", "--help", "--hydra-help", "--version", "--resolve", "-r", "--run", "-m", "--multirun"}

FLAGS_WITH_VALUE = {"-c", "--cfg", "-p", "--package", "-sc", "--shell-completion", "-cp", "--config-path", "-cn",
                    "--config-name", "-cd", "--config-dir", "-i", "--info"}  # fmt: skip

FLAGS_THAT_PRINT = {"-h", "--help", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion"}


def flags_and_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate Hydra's flags from the overrides, which a user may mix in any order. Hydra needs all flags before the overrides."""
    flags, overrides = [], []
    remaining = iter(arguments)
    for argument in remaining:
        name = argument.split("=")[0]
        if argument in FLAGS_WITH_VALUE:
            value = next(remaining, None)
            if value is None and argument not in ("-i", "--info"):
                raise UserError("cli.missing_value", f"{argument} needs a value; see stylegan-lab train --hydra-help")
            flags += [argument] if value is None else [argument, value]
        elif argument in FLAGS or name in FLAGS_WITH_VALUE:
            flags.append(argument)
        elif argument.startswith("-") and "=" in argument:
            raise UserError(
                "cli.setting_with_dashes", f"{argument}: write settings without dashes: {argument.lstrip('-')}"
            )
        elif argument.startswith("-"):
            meant = did_you_mean(name, FLAGS | FLAGS_WITH_VALUE)
            raise UserError("cli.unknown_flag", f"{argument} is not a flag{meant}; write settings as KEY=VALUE")
        else:
            overrides.append(to_hydra_override(argument))
    return flags, overrides


def add_sweep_overrides(flags: list[str], overrides: list[str]) -> tuple[list[str], list[str]]:
    """Return the flags, with `-m` if this is a sweep, and the overrides, with the defaults of `sweep` and `hydra/sweeper` added and
    `seeds` and `output_dir` renamed to the settings that a sweep uses."""
    if any(override.startswith("seeds=") for override in overrides):
        flags = [*flags, "-m"]
    is_sweep = bool({"-m", "--multirun"} & set(flags))
    flags = [flag for flag in flags if flag not in ("-m", "--multirun")] + ["-m"] * is_sweep
    by_key = [(override.lstrip("+").split("=")[0], override) for override in overrides]
    of_sweep = [override for key, override in by_key if key.split(".")[0] == "sweep"]
    if not is_sweep:
        of_sweep += [override for key, override in by_key if key == "hydra/launcher"]
        if of_sweep and not FLAGS_THAT_PRINT & {flag.split("=")[0] for flag in flags}:
            raise UserError(
                "cli.only_for_sweeps",
                f"{of_sweep[0]} is a setting of sweeps; add -m: stylegan-lab train -m {' '.join(overrides)}",
            )
        return flags, overrides
    if several := [override for override in of_sweep if override.startswith("sweep=") and "," in override]:
        raise UserError("sweep.several_sweeps", f"{several[0]} names several sweeps; start one at a time")
    implied = {"sweep": "sweep=grid", "hydra/sweeper": "hydra/sweeper=stylegan_lab"}
    given = {override.split("=")[0] for override in overrides}
    renamed = {"output_dir": "hydra.sweep.dir", "seeds": "sweep.seeds"}
    for_hydra = ["".join((renamed.get(key, key), *rest)) for key, *rest in (each.partition("=") for each in overrides)]
    return flags, [*(default for key, default in implied.items() if key not in given), *for_hydra]


class CommandParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError("cli.wrong_arguments", f"{message}; see `{self.prog} --help`")
