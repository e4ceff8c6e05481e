"""`stylegan-lab train`: parses the arguments and lets Hydra compose the config of a training or a sweep."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_lab.cli.arguments import add_sweep_overrides, flags_and_overrides
from stylegan_lab.config.paths import CONF, config_choices
from stylegan_lab.config.used_groups import only_used_groups
from stylegan_lab.errors import UserError
from stylegan_lab.suggestions import did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = """Train one experiment, or a sweep with -m. Settings are KEY=VALUE. A group such as model or data selects a config file.

  stylegan-lab train experiment=demo
  stylegan-lab train model=cyclegan data.target=ink data.size=64 iterations=2000
  stylegan-lab train experiment=smoke loss=hinge seed=1 dry_run=true
  stylegan-lab train -m experiment=smoke loss=lsgan,hinge model.cycle_weight=5,10
  stylegan-lab train experiment=smoke seeds=3

Groups and their choices (`stylegan-lab train help GROUP` describes them):
"""

HELP_END = """
`--cfg job` prints the settings that have an effect, and `--cfg all` prints all settings and Hydra's.
`--info defaults` shows the file of each part. `-m` starts a sweep."""


def main(arguments: list[str]) -> int:
    """Print the help, or train. Hydra is imported only for training, so that the help is fast."""
    if arguments[:1] == ["help"]:
        print(*(describe_group(group) for group in arguments[1:]), sep="\n\n") if arguments[1:] else main(["--help"])
        return 0
    flags, overrides = flags_and_overrides(arguments)
    if {"-h", "--help"} & set(flags):
        print(HELP, *(f"{group}: {', '.join(config_choices(group))}" for group in config_groups()), HELP_END, sep="\n")
        return 0
    return run_hydra(*add_sweep_overrides(flags, overrides))


def config_groups() -> list[str]:
    return sorted({str(path.parent.relative_to(CONF)) for path in CONF.glob("*/**/*.yaml")})


def describe_group(group: str) -> str:
    """Return the choices of a config group, each with the first line of the comment in its file."""
    if group not in (groups := config_groups()):
        raise UserError(
            "config.unknown_group",
            f"{group} is not a config group{did_you_mean(group, groups)}; groups: {', '.join(groups)}",
        )
    choices = config_choices(group)
    width = max(map(len, choices))
    return "\n".join([f"{group}=", *(f"  {name:{width}}  {first_comment(path)}" for name, path in choices.items())])


def first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = (line[1:].strip() for line in lines if line.startswith("#") and not line.startswith("# @"))
    return next(comments, "")


def prints_config(flags: list[str]) -> bool:
    """Return whether the flags print the whole config with `--cfg job`, without `--resolve`. Only then are unused config groups
    left out."""
    asked = {"--cfg=job", "-c=job"} & set(flags) or any(
        flag in ("--cfg", "-c") and value == "job" for flag, value in pairwise(flags)
    )
    return bool(asked) and not any(flag.split("=")[0] in ("-p", "--package", "--resolve") for flag in flags)


def may_set_mode(flags: list[str], overrides: list[str]) -> bool:
    """Return whether `hydra.mode` may be set by an override or by a config file outside this package. No file of this package
    sets it, and the flag -m is stronger."""
    if "-m" in flags:
        return False
    other_folders = ("-cd", "--config-dir", "-cp", "--config-path", "-cn", "--config-name")
    return any(flag.split("=")[0] in other_folders for flag in flags) or any(
        override.lstrip("+~").startswith("hydra") for override in overrides
    )


@contextmanager
def composed_once() -> Iterator[None]:
    """Before a training, Hydra composes the config once more, only to read `hydra.mode`. Here it does not, because the mode is
    not set."""
    from hydra._internal.hydra import Hydra

    get_mode = Hydra.get_mode
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = get_mode  # type: ignore[method-assign]


def run_hydra(flags: list[str], overrides: list[str]) -> int:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf.errors import OmegaConfBaseException

    import stylegan_lab.data.resolvers  # noqa: F401  so that configs can be resolved
    from stylegan_lab.config.hydra_errors import to_user_error

    command_line = sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them

    failures: list[str] = []  # of jobs that another sweeper than ours runs here
    errors: list[UserError] = []  # kept from Hydra, which would print them first

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
    def job(config: "DictConfig") -> float | None:
        sys.argv = command_line  # Lightning starts further processes with this command
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            try:
                from stylegan_lab.training.fit import train  # imports torch and Lightning, which --cfg needs not

                run = train(config, HydraConfig.get(), flags)
                return run.state.best_score if run and run.state else None
            except UserError as error:
                errors.append(error)
            except OmegaConfBaseException as error:
                errors.append(to_user_error(error, [*flags, *overrides]))
            return None
        from stylegan_lab.sweeps.launcher_job import run_launcher_job

        result, failure = run_launcher_job()
        failures.extend([failure] if failure else [])
        return result

    if is_resumed := any(override.lstrip("+").startswith(("resume=", "output_dir=")) for override in overrides):
        from stylegan_lab.training.resume import add_search_path, overrides_to_resume

        overrides = overrides_to_resume(overrides, "-m" in flags)
    try:
        if any("hydra" in override and "callbacks" in override for override in overrides):
            from stylegan_lab.training.safe_overrides import check_hydra_callbacks

            check_hydra_callbacks(overrides)
        sys.argv = [Path(command_line[0]).name, *flags, *overrides]
        if prints_config(flags):
            with redirect_stdout(StringIO()) as printed:
                job()
            print(only_used_groups(printed.getvalue()), end="")
        elif may_set_mode(flags, overrides):
            job()
        else:
            with composed_once():
                job()
    except (HydraException, OmegaConfBaseException) as error:
        message = to_user_error(error, [*flags, *overrides])
        raise (add_search_path(message, error, overrides) if is_resumed else message) from error
    finally:
        sys.argv = command_line
    if errors:
        raise errors[0]
    if failures:
        raise UserError("sweep.trials_failed", "\n".join(failures))
    return 0
