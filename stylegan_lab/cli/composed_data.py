"""The data that a training's arguments describe, without the rest of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from stylegan_lab.cli.arguments import flags_and_overrides
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.wording import in_our_words
from stylegan_lab.conf_dir import CONF
from stylegan_lab.mistake import Mistake

if TYPE_CHECKING:
    from stylegan_lab.data.image_data import ImageData


def composed_data(arguments: Sequence[str]) -> "ImageData":
    quiet()
    from stylegan_lab.experiment import build_data

    flags, overrides = flags_and_overrides(arguments)
    if flags:
        raise Mistake(f"{flags[0]} is a flag of train; settings are KEY=VALUE")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return build_data(compose("train", overrides=overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise in_our_words(error, overrides) from error
