"""Overrides as users write them, on the command line and in Python, and as Hydra takes them."""

import os

from stylegan_lab.config.paths import config_choices
from stylegan_lab.config.synonyms import REFUSED, synonym_for
from stylegan_lab.errors import UserError

MAY_BE_NULL = {"experiment"}
OPEN_ENDED = ("model.extra_losses.",)  # settings below have names of the user's, which Hydra accepts after ++ only


def to_hydra_override(override: str) -> str:
    """The override as Hydra takes it. Refuses what Hydra answers less clearly."""
    key, _, value = override.partition("=")
    if key.lstrip("+") in REFUSED and "LOCAL_RANK" not in os.environ:  # Lightning gives it to the ranks that it starts
        raise UserError(synonym_for(key.lstrip("+")) or "")
    choices = config_choices(key) if key else {}
    if choices and value in ("", "null") and key not in MAY_BE_NULL:
        raise UserError(f"{override}: choose one of {', '.join(choices)}")
    return f"++{override}" if override.startswith(OPEN_ENDED) else override
