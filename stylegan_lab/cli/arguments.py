"""A training's arguments: Hydra's flags first, then overrides, each of which looks like one."""

from collections.abc import Iterator, Sequence

from stylegan_lab.choice import nearest
from stylegan_lab.conf_dir import CONF
from stylegan_lab.mistake import Mistake

FLAGS = {"-h", "--help", "--hydra-help", "--version", "--resolve", "-r", "--run", "-m", "--multirun"}
FLAGS_WITH_VALUE = {"-c", "--cfg", "-p", "--package", "-sc", "--shell-completion", "-cp", "--config-path", "-cn",
                    "--config-name", "-cd", "--config-dir", "-i", "--info"}  # fmt: skip
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
