"""`stylegan-lab COMMAND ...`: runs a command, and prints a user's errors without a traceback."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, metadata
from keyword import iskeyword
from pathlib import Path
from typing import Any

from stylegan_lab.cli.parsers import PARSERS
from stylegan_lab.errors import UserError
from stylegan_lab.signals import handle_signals
from stylegan_lab.suggestions import did_you_mean
from stylegan_lab.training.warning_filters import silence_warnings

COMMANDS = {
    "train": "train one experiment, or a sweep of them",
    "evaluate": "compute the scores of a run on held-out or training images",
    "score": "compute metrics between two folders of images, without a run",
    "compare": "compare settings, scores and cost of runs",
    "watch": "show the progress of a training",
    "translate": "translate images with a run",
    "export": "write a model as safetensors, ONNX or torch.export, or for the Hugging Face hub",
    "generate": "generate images from noise with a run",
    "serve": "serve a web page that uses trained runs",
    "stylize": "render a photo in the style of an image",
    "reproduce": "train a baseline and compare its scores with those of its paper",
    "import": "create a run from a generator that was trained with other code",
    "sync": "upload offline runs to W&B",
    "data": "check, preview, prepare, list or download data",
}

DEBUG = "STYLEGAN_LAB_DEBUG"
COMPILE_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def main() -> None:
    try:
        with without_empty_compile_cache():
            code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the pipe, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + 13  # the exit code of a SIGPIPE in a shell
    sys.exit(code)


@contextmanager
def without_empty_compile_cache() -> Iterator[None]:
    """Delete the cache folder of torch.compile, which torch creates when it is imported, if it is still empty at the end."""
    given = COMPILE_CACHE in os.environ  # by the user, or by the process that started this one
    try:
        yield
    finally:
        if not given and (folder := os.environ.get(COMPILE_CACHE)):
            with suppress(OSError):  # it is not empty
                Path(folder).rmdir()


def run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(metadata.version("stylegan_lab"))
        return 0
    interrupt = Interrupt()
    # A shell ignores Ctrl-C for what it starts in the background, and the code around a call of this function may handle it.
    ours = ["SIGINT"] if signal.getsignal(signal.SIGINT) is signal.default_int_handler else []
    try:
        with handle_signals(interrupt, ours):
            return run_command(*arguments)
    except UserError as error:
        if os.environ.get(DEBUG):
            raise
        if interrupt.received:
            return report_interrupt()
        print(f"stylegan-lab: {error.with_code()}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before training starts, or after it
        return report_interrupt()
    except Exception:
        if interrupt.received and not os.environ.get(DEBUG):
            return report_interrupt()
        raise


def run_command(name: str, *arguments: str) -> int:
    rest = list(arguments)
    if name in ("-sc", "--shell-completion"):
        name, rest = "completion", [name, *rest]
    elif name not in COMMANDS:
        raise UserError(
            "cli.unknown_command",
            f"{name} is not a command{did_you_mean(name, COMMANDS)}; commands: {', '.join(COMMANDS)}",
        )
    given = PARSERS[name](rest) if name in PARSERS else rest
    silence_warnings()
    module = f"{name}_" if iskeyword(name) else name
    code: int = import_module(f"stylegan_lab.cli.{module}").main(given)
    return code


class Interrupt:
    """A signal handler that raises KeyboardInterrupt and remembers it. A library that is interrupted may raise another error
    instead."""

    def __init__(self) -> None:
        self.received = False

    def __call__(self, number: int, frame: Any) -> None:
        self.received = True
        raise KeyboardInterrupt


def report_interrupt() -> int:
    print("stylegan-lab: interrupted", file=sys.stderr)
    return 130


def usage() -> str:
    commands = "\n".join(f"  {name:10} {description}" for name, description in COMMANDS.items())
    return f"""usage: stylegan-lab COMMAND ...

{commands}

examples:
  stylegan-lab train experiment=demo
  stylegan-lab evaluate runs/demo/20260101-120000-ab12
  stylegan-lab translate runs/demo/20260101-120000-ab12 photos/ prints/
  stylegan-lab compare runs/demo --html page.html

`stylegan-lab COMMAND --help` explains a command.
eval "$(stylegan-lab -sc install=bash)" installs tab completion of commands and settings.
{DEBUG}=1 shows the traceback of an error."""
