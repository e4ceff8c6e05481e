"""The door through which `-m` comes: Hydra takes sweepers from this package alone; what it does stands in stylegan_lab.sweeps."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StyleganLabSweeper(Sweeper):
    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._asked = (hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        from stylegan_lab.sweeps.sweep import sweep  # late: Hydra looks through every plugin at each start

        return sweep(arguments, *self._asked)


@dataclass
class StyleganLabSweeperConfig:
    _target_: str = "hydra_plugins.stylegan_lab_sweeper.StyleganLabSweeper"


ConfigStore.instance().store("stylegan_lab", StyleganLabSweeperConfig(), group="hydra/sweeper", provider="stylegan_lab")
