"""Shell completion: `eval "$(stylegan-lab -sc install=bash)"`; Hydra completes a training's settings, we its commands."""

import os
from collections.abc import Iterable

from stylegan_lab.cli.data import VERBS
from stylegan_lab.cli.main import COMMANDS


def main(arguments: list[str]) -> int:
    """`-sc install=SHELL` prints what a shell is to evaluate; `-sc query=SHELL` answers it."""
    if arguments[1:2] != [] and arguments[1].startswith("query="):
        program, *words = os.environ["COMP_LINE"].split(" ")
        if words[:1] != ["train"] or len(words) < 2:
            print(" ".join(offered(words)))
            return 0
        os.environ["COMP_LINE"] = " ".join([program, *words[1:]])
    from stylegan_lab.cli import train

    return train.main(arguments)


def offered(words: list[str]) -> Iterable[str]:
    """What may stand where the last of the words is being written."""
    if words[:1] != ["data"] or len(words) < 2:
        return COMMANDS
    if len(words) == 2:
        return VERBS
    if len(words) == 3 and words[1] in ("list", "download"):
        from stylegan_lab.data.sets.catalogue import SETS

        return SETS
    return []
