"""`stylegan-lab data VERB ...`: what is done with data before a training; each verb in its own file."""

from collections.abc import Callable
from importlib import import_module

from stylegan_lab.choice import nearest
from stylegan_lab.mistake import Mistake

VERBS = {
    "check": "read all pictures of a folder once, and say what is wrong with which",
    "preview": "draw what a net will see",
    "prepare": "write the fast cache before a training",
    "list": "the papers' data sets: sizes, terms, sources",
    "download": "fetch one of them",
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise Mistake(f"no data command {verb}{nearest(verb, VERBS)}; data commands: {', '.join(VERBS)}")
    run: Callable[[list[str]], int] = import_module(f"stylegan_lab.cli.data_{verb}").main
    return run(rest)


def usage() -> str:
    verbs = "\n".join(f"  {name:10} {what}" for name, what in VERBS.items())
    return f"""usage: stylegan-lab data VERB ...

{verbs}

`stylegan-lab data VERB --help` says more."""
