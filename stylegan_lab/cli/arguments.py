"""A training's arguments: Hydra's flags first, then overrides, each of which looks like one."""

from collections.abc import Iterator, Sequence

from stylegan_lab.choice import nearest
from stylegan_lab.conf_dir import CONF
from stylegan_lab.mistake import Mistake

FLAGS = {"-h", "--help", "--hydra-help", "--version", "--resolve", "-r", "--run", "-m", "--multirun"}
FLAGS_WITH_VALUE = {"-c", "--cfg", "-p", "--package", "-sc", "--shell-completion", "-cp", "--config-path", "-cn",
                    "--config-name", "-cd", "--config-dir", "-i", "--info"}  # fmt: skip
SHOWING = {"-h", "--help", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion"}
MAY_BE_NULL = {"experiment"}


def flags_and_overrides(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """In that order they can be parsed wherever they stood."""
    flags, overrides = [], []
    waiting = iter(arguments)
    for argument in waiting:
        name = argument.split("=")[0]
        if name in FLAGS_WITH_VALUE:
            flags += [argument] if "=" in argument else [argument, *_value(argument, waiting)]
        elif argument in FLAGS:
            flags.append(argument)
        elif argument.startswith("-"):
            _refuse_flag(argument, name)
        else:
            _check_choice(argument)
            overrides.append(argument)
    return flags, overrides


def sweep_or_not(flags: list[str], overrides: list[str]) -> tuple[list[str], list[str]]:
    """The same, with -m in its one spelling and with what it implies: which sweep, whose sweeper, and the folder of all trials."""
    if any(override.startswith("seeds=") for override in overrides):
        flags = [*flags, "-m"]
    flags = [flag for flag in flags if flag not in ("-m", "--multirun")] + ["-m"] * bool(
        {"-m", "--multirun"} & set(flags)
    )
    asked = [override for override in overrides if override.lstrip("+").split("=")[0].split(".")[0] == "sweep"]
    if "-m" not in flags:
        if asked and not SHOWING & {flag.split("=")[0] for flag in flags}:
            raise Mistake(f"{asked[0]} says how to sweep, and -m that: stylegan-lab train -m {' '.join(overrides)}")
        return flags, overrides
    if several := [override for override in asked if override.startswith("sweep=") and "," in override]:
        raise Mistake(f"{several[0]}: one sweep at a time")
    implied = {"sweep": "sweep=grid", "hydra/sweeper": "hydra/sweeper=stylegan_lab"}
    given = {override.split("=")[0] for override in overrides}
    words = {"output_dir": "hydra.sweep.dir", "seeds": "sweep.seeds"}
    said = [f"{words.get(key, key)}{rest}" for key, rest in (_split(override) for override in overrides)]
    return flags, [*(default for key, default in implied.items() if key not in given), *said]


def _split(override: str) -> tuple[str, str]:
    key = override.split("=")[0]
    return key, override[len(key) :]


def _value(flag: str, waiting: Iterator[str]) -> list[str]:
    value = next(waiting, None)
    if value is None and flag not in ("-i", "--info"):
        raise Mistake(f"{flag} needs a value; stylegan-lab train --hydra-help explains it")
    return [] if value is None else [value]


def _refuse_flag(argument: str, name: str) -> None:
    if "=" in argument:
        raise Mistake(f"{argument}: settings are given without dashes: {argument.lstrip('-')}")
    raise Mistake(f"{argument} is no flag{nearest(name, FLAGS | FLAGS_WITH_VALUE)}; settings are KEY=VALUE")


def _check_choice(override: str) -> None:
    group, _, choice = override.partition("=")
    choices = sorted(path.stem for path in (CONF / group).glob("*.yaml")) if group else []
    if choices and choice in ("", "null") and group not in MAY_BE_NULL:
        raise Mistake(f"{override}: one of {', '.join(choices)} is expected")
