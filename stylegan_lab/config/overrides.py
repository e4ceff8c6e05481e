"""Converts overrides from the form that users write, on the command line or in Python, to the form that Hydra accepts."""

import os

from stylegan_lab.config.paths import config_choices
from stylegan_lab.config.synonyms import REFUSED, synonym_error
from stylegan_lab.errors import UserError

MAY_BE_NULL = {"experiment"}
OPEN_ENDED = ("model.extra_losses.",)  # settings below have names of the user's, which Hydra accepts after ++ only


def to_hydra_override(override: str) -> str:
    """Return the override in the form that Hydra accepts. Raises an error for overrides that Hydra would ignore or explain
    badly."""
    key, _, value = override.partition("=")
    name = key.lstrip("+")
    is_rank = "LOCAL_RANK" in os.environ  # Lightning gives these settings to the ranks that it starts
    if name in REFUSED and not is_rank and (error := synonym_error(name)):
        raise error
    choices = config_choices(key) if key else {}
    if choices and value in ("", "null") and key not in MAY_BE_NULL:
        raise UserError("config.missing_choice", f"{override}: choose one of {', '.join(choices)}")
    return f"++{override}" if override.startswith(OPEN_ENDED) else override
