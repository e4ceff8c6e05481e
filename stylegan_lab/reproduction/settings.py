"""Settings: what a baseline asks a training to be, and the print of them by which an edited experiment is known."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stylegan_lab.conf_dir import CONF
from stylegan_lab.mistake import Mistake
from stylegan_lab.reproduction.baseline import Baseline

GIVEN = (
    "data.root",
    "data.a",
    "data.b",
    "data.workers",
    "data.cache",
    "data.cache_dir",
    "data.batch_size",  # of a device
    "logger",
    "strategy",
    "time_limit",
)
OF_NO_MATTER = (*GIVEN, "callbacks", "trainer", "seed", "resume", "evaluate", "output_dir", "runs_dir", "name", "dry_run",
                "trust", "vars", "metrics")  # fmt: skip
# Nothing of a run that is scored by its baseline's metrics, and much of what that baseline asks for.
OF_MATTER_ALL_THE_SAME = ("data.batch_size", "vars", "metrics")


def composed(baseline: Baseline, seed: int, given: Sequence[str] = ()) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=[*baseline.training(seed), *given])


def settings_print(baseline: Baseline) -> str:
    """Of interpolations as they are written: what they stand for may be another thing on each machine."""
    try:
        config = composed(baseline, baseline.seeds[0])
    except (HydraException, OmegaConfBaseException) as error:
        raise Mistake(
            f"baselines/{baseline.name}.yaml asks for what cannot be composed: {str(error).splitlines()[0]}"
        ) from error
    told: Any = OmegaConf.to_container(config, resolve=False)
    averaging = (told["callbacks"] or {}).get("averaging")  # the model is used with its averages
    for key in OF_NO_MATTER:
        if key not in OF_MATTER_ALL_THE_SAME:
            *above, last = key.split(".")
            (told[above[0]] if above else told).pop(last, None)
    return hashlib.sha256(json.dumps([told, averaging], sort_keys=True).encode()).hexdigest()[:16]
