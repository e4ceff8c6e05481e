"""Shell completion: `eval "$(stylegan-lab -sc install=bash)"`; Hydra completes a training's settings, we its commands."""

import os

from stylegan_lab.cli.main import COMMANDS


def main(arguments: list[str]) -> int:
    """`-sc install=SHELL` prints what a shell is to evaluate; `-sc query=SHELL` answers it."""
    if arguments[1:2] != [] and arguments[1].startswith("query="):
        program, *words = os.environ["COMP_LINE"].split(" ")
        if words[:1] != ["train"] or len(words) < 2:
            print(" ".join(COMMANDS))
            return 0
        os.environ["COMP_LINE"] = " ".join([program, *words[1:]])
    from stylegan_lab.cli import train

    return train.main(arguments)
