"""Shell completion, installed by `eval "$(stylegan-lab -sc install=bash)"`. Hydra completes settings; this file completes
commands."""

import os
from collections.abc import Iterable

from stylegan_lab.cli.data import VERBS
from stylegan_lab.cli.main import COMMANDS


def main(arguments: list[str]) -> int:
    """Print the shell code that installs completion for `-sc install=SHELL`, or the completions that this code asks for with `-sc
    query=SHELL`."""
    if arguments[1:2] != [] and arguments[1].startswith("query="):
        program, *words = os.environ["COMP_LINE"].split(" ")
        if words[:1] != ["train"] or len(words) < 2:
            print(" ".join(completions(words)))
            return 0
        os.environ["COMP_LINE"] = " ".join([program, *words[1:]])
    from stylegan_lab.cli import train

    return train.main(arguments)


def completions(words: list[str]) -> Iterable[str]:
    """Return the words that can complete the last, unfinished word of a command."""
    if words[:1] != ["data"] or len(words) < 2:
        return COMMANDS
    if len(words) == 2:
        return VERBS
    if len(words) == 3 and words[1] in ("list", "download"):
        from stylegan_lab.data.download.catalog import DATASETS

        return DATASETS
    return []
