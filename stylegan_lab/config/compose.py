"""Composes the config of a training without the command `train`."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from stylegan_lab.config.paths import CONF


def compose_config(overrides: Sequence[str] = (), with_hydra: bool = False) -> DictConfig:
    """Compose the config of these overrides; `with_hydra` adds the key `hydra`. The global Hydra state of a calling program is
    restored."""
    running, config_of_caller = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("train", list(overrides), return_hydra_config=with_hydra)
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = running, config_of_caller
