"""Training from Python: `train("experiment=demo")` does what `stylegan-lab train experiment=demo` does, in this process."""

import warnings
from collections.abc import Sequence

from hydra.conf import HydraConf
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

import stylegan_lab.data.resolvers  # noqa: F401  so that configs can be resolved
from stylegan_lab.callbacks.preemption import count_time_from_here
from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.hydra_errors import to_user_error
from stylegan_lab.config.overrides import to_hydra_override
from stylegan_lab.errors import UserError
from stylegan_lab.runs.run import Run
from stylegan_lab.signals import TIME_LIMIT_EXIT_CODE
from stylegan_lab.training import fit
from stylegan_lab.training.hardware import has_launched_ranks
from stylegan_lab.training.resume import add_search_path, overrides_to_resume
from stylegan_lab.training.safe_overrides import parse_arguments
from stylegan_lab.training.warning_filters import silence_warnings

CTRL_C_EXIT_CODE = 130


def train(*overrides: str) -> Run:
    """Train one run and return it. The overrides are those of the command line, such as `experiment=demo` or `resume=RUN`.

    Several processes (`strategy=ddp`) are started with `stylegan-lab train`, not as copies of the calling script. Ctrl-C
    saves a checkpoint, and then raises KeyboardInterrupt.
    """
    _check(overrides)
    arguments = overrides_to_resume([to_hydra_override(each) for each in overrides], sweep=False)
    try:
        config, hydra = _compose(arguments)
        if config.dry_run:
            raise UserError(
                "training.dry_run_from_python",
                "dry_run=true trains nothing; use the command: stylegan-lab train ... dry_run=true",
            )
        if int(config.strategy.num_nodes) > 1 and not has_launched_ranks():
            raise UserError(
                "cluster.not_launched",
                f"strategy.num_nodes={config.strategy.num_nodes} needs a process on each node; "
                "start this script on every node with srun or torchrun, "
                "or train with the command: stylegan-lab train",
            )
        with warnings.catch_warnings(), count_time_from_here():
            silence_warnings()
            run = fit.train(config, hydra, start_ranks=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise add_search_path(to_user_error(error, arguments), error, arguments) from error
    except SystemExit as stopped:
        raise _explained(stopped) from None
    assert run is not None, "only a dry run has none"
    return run


def _compose(overrides: Sequence[str]) -> tuple[DictConfig, HydraConf]:
    """Compose the config of a training, and Hydra's own part of the config."""
    config = compose_config(overrides, with_hydra=True)
    hydra: HydraConf = config.hydra
    with open_dict(config):
        del config["hydra"]
    return config, hydra


def _check(overrides: Sequence[str]) -> None:
    for override in overrides:
        if not isinstance(override, str):
            raise UserError(
                "config.override_not_text", f"{override!r} is not an override; give a string such as 'experiment=demo'"
            )
        if override.startswith("-"):
            raise UserError(
                "config.flag_as_override",
                f"{override} is a flag of the command line; from Python, give overrides such as experiment=demo",
            )
    for each in parse_arguments(overrides):
        root = each.key_or_group.replace("/", ".").split(".")[0]
        if root in ("sweep", "seeds") or each.is_sweep_override():
            raise UserError(
                "sweep.from_python",
                f"{each.input_line} starts a sweep, but train() trains a single run; use the command: stylegan-lab train -m",
            )
        if root == "hydra" and each.key_or_group != "hydra.searchpath":
            raise UserError(
                "config.hydra_setting_from_python",
                f"{each.input_line} cannot be set from Python; remove it. "
                "hydra.searchpath is the only setting of Hydra that can be set from Python",
            )


def _explained(stopped: SystemExit) -> BaseException:
    """Return the exception that a calling program expects instead of the SystemExit that stopped a training."""
    if stopped.code == CTRL_C_EXIT_CODE:
        return KeyboardInterrupt()
    if stopped.code == TIME_LIMIT_EXIT_CODE:
        return UserError(
            "training.time_limit_reached",
            "the training stopped at time_limit before it was complete; the last line of its output shows how to resume",
        )
    if isinstance(stopped.code, int) and stopped.code > 128:
        return stopped  # a signal asked the whole process to leave
    return UserError(
        "training.process_failed", f"a process of the training exited with code {stopped.code}; its message is above"
    )
