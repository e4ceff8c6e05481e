"""What every command that uses a run asks for: the run, one of its checkpoints, which weights, and whose code."""

import argparse
from typing import NoReturn

from stylegan_lab.mistake import Mistake


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Mistake(f"{message}; `{self.prog} --help` shows the form")


def run_parser(command: str, description: str, example: str) -> Parser:
    parser = Parser(
        prog=f"stylegan-lab {command}", description=description, epilog=f"example: stylegan-lab {command} {example}"
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or a checkpoint")
    parser.add_argument("--checkpoint", help="last (the default), best, or a path")
    parser.add_argument("--raw", action="store_true", help="the weights as trained, not their average")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="may be named by the checkpoint"
    )
    return parser
