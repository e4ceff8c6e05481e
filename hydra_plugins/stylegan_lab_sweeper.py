"""Hydra's entry point for `-m`: Hydra only finds sweepers in the hydra_plugins package. The code is in stylegan_lab.sweeps."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StyleganLabSweeper(Sweeper):
    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._setup = (hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        from stylegan_lab.sweeps.sweep import run_sweep  # imported late: Hydra imports every plugin at each start

        return run_sweep(arguments, *self._setup)


@dataclass
class StyleganLabSweeperConfig:
    _target_: str = "hydra_plugins.stylegan_lab_sweeper.StyleganLabSweeper"


ConfigStore.instance().store("stylegan_lab", StyleganLabSweeperConfig(), group="hydra/sweeper", provider="stylegan_lab")
