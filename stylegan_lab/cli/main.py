"""`stylegan-lab COMMAND ...`: finds the command, and tells a user's mistakes without a traceback."""

import os
import sys
from collections.abc import Callable
from importlib import import_module, metadata

from stylegan_lab.choice import nearest
from stylegan_lab.mistake import Mistake

COMMANDS = {
    "train": "train one experiment, or a sweep of them",
    "evaluate": "score a run against held-out pictures, or those of its training",
    "score": "score a folder of pictures against another, with no run",
    "compare": "put runs side by side: settings, scores, cost",
    "translate": "translate pictures with a run",
    "generate": "make pictures from noise with a run",
    "stylize": "paint a photo in the style of a picture",
    "reproduce": "train a baseline and hold it against what its paper says",
    "sync": "upload to W&B what was written offline",
    "data": "check, preview, prepare, list or download data",
}
DEBUG = "STYLEGAN_LAB_DEBUG"


def main() -> None:
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read along, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + 13  # as the shell counts a SIGPIPE
    sys.exit(code)


def run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(metadata.version("stylegan_lab"))
        return 0
    name, *rest = arguments
    try:
        if name in ("-sc", "--shell-completion"):
            name, rest = "completion", arguments
        elif name not in COMMANDS:
            raise Mistake(f"no command {name}{nearest(name, COMMANDS)}; commands: {', '.join(COMMANDS)}")
        command: Callable[[list[str]], int] = import_module(f"stylegan_lab.cli.{name}").main
        return command(rest)
    except Mistake as mistake:
        if os.environ.get(DEBUG):
            raise
        if is_interrupted(mistake):
            return interrupted()
        print(f"stylegan-lab: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before anything is played, or after
        return interrupted()


def is_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: a parser that is interrupted may stumble over its own clearing up, and then tells of that."""
    seen: list[BaseException] = []  # for causes may go round in a circle
    while error is not None and error not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def interrupted() -> int:
    print("stylegan-lab: interrupted", file=sys.stderr)
    return 130


def usage() -> str:
    commands = "\n".join(f"  {name:10} {what}" for name, what in COMMANDS.items())
    return f"""usage: stylegan-lab COMMAND ...

{commands}

examples:
  stylegan-lab train experiment=demo
  stylegan-lab evaluate runs/demo/20260101-120000-ab12
  stylegan-lab translate runs/demo/20260101-120000-ab12 photos/ prints/
  stylegan-lab compare runs/demo --html page.html

`stylegan-lab COMMAND --help` says more.
eval "$(stylegan-lab -sc install=bash)" completes commands and settings.
 {DEBUG}=1 shows the traceback behind a message."""
