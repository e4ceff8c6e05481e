"""What every command that uses a run asks for: the run, one of its checkpoints, which weights, and whose code."""

import argparse


def run_parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"stylegan-lab {command}", description=description, epilog=f"example: stylegan-lab {command} {example}"
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or a checkpoint")
    parser.add_argument("--checkpoint", help="last (the default), best, or a path")
    parser.add_argument("--raw", action="store_true", help="the weights as trained, not their average")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="may be named by the checkpoint"
    )
    return parser
