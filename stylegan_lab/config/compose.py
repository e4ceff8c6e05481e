"""Compose the config of a training outside the command `train`."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from stylegan_lab.config.paths import CONF


def compose_config(overrides: Sequence[str] = (), with_hydra: bool = False) -> DictConfig:
    """The config that these overrides make, optionally with Hydra's own part. The Hydra of a calling program stays as it is."""
    running, config_of_caller = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("train", list(overrides), return_hydra_config=with_hydra)
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = running, config_of_caller
