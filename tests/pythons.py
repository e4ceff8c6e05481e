"""`make pythons`: the suite on each Python, and with the lowest and the highest versions that pyproject.toml allows.

python -m tests.pythons                        # all of them: hours, and several GB in .cache/pythons
python -m tests.pythons lowest-3.10 -- -k data # one of them, and arguments of pytest

uv installs the Pythons that are missing. Without uv, those on the PATH are used, and the lowest versions are left out: pip
cannot choose them. The environment variable UV_TORCH_BACKEND=cpu makes uv take the small build of torch.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".cache" / "pythons"
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# By name: a Python, and the options of an installer that choose versions.
ENVIRONMENTS = {f"pinned-{python}": (python, ["-c", "constraints.txt"]) for python in PYTHONS} | {
    f"lowest-{PYTHONS[0]}": (PYTHONS[0], ["--resolution", "lowest-direct"]),
    f"highest-{PYTHONS[-1]}": (PYTHONS[-1], ["--upgrade"]),
}
# Versions that are not pinned may deprecate what they use of each other.
OTHER_WARNINGS = ["-W", "ignore::DeprecationWarning", "-W", "ignore::FutureWarning"]
PYTEST = ["-m", "pytest", "-n", "2", "--dist", "loadfile", "-m", "not slow", "-p", "no:cacheprovider"]

Command = list[str]


def install_commands(name: str, uv: str | None, interpreter: str | None) -> list[Command]:
    """The commands that make an environment. Raises LookupError if this machine cannot."""
    python, versions = ENVIRONMENTS[name]
    folder, project = str(FOLDER / name), ["-e", f".[{','.join(installed_extras())}]"]
    if uv:
        own = ["--python", f"{folder}/bin/python"]
        return [[uv, "venv", "--clear", "--python", python, folder], [uv, "pip", "install", *own, *versions, *project]]
    if "--resolution" in versions:
        raise LookupError("uv is not installed")
    if interpreter is None:
        raise LookupError(f"neither uv nor python{python} is installed")
    return [
        [interpreter, "-m", "venv", "--clear", folder],
        [f"{folder}/bin/python", "-m", "pip", "install", *versions, *project],
    ]


def find_interpreter(python: str) -> str | None:
    """The path of a Python that runs: a version manager may have a command of that name for one that is not chosen."""
    path = shutil.which(f"python{python}")
    works = path and subprocess.run([path, "-c", "pass"], capture_output=True).returncode == 0
    return path if works else None


def run_suite(name: str, arguments: Sequence[str]) -> str:
    """Make the environment, run the suite in it, and return what happened."""
    try:
        commands = install_commands(name, shutil.which("uv"), find_interpreter(ENVIRONMENTS[name][0]))
    except LookupError as missing:
        return f"left out: {missing}"
    warnings = [] if name.startswith("pinned") else OTHER_WARNINGS
    for command in [*commands, [f"{FOLDER / name}/bin/python", *PYTEST, *warnings, *arguments]]:
        print("+", *command, flush=True)
        if subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}).returncode:
            return f"FAILED: {' '.join(command[:4])} ..."
    return "passed"


def main(arguments: Sequence[str]) -> int:
    given = list(arguments)
    split = given.index("--") if "--" in given else len(given)
    names = given[:split] or list(ENVIRONMENTS)
    if unknown := [name for name in names if name not in ENVIRONMENTS]:
        sys.exit(f"{unknown[0]} is unknown; choices: {', '.join(ENVIRONMENTS)}")
    results = {name: run_suite(name, given[split + 1 :]) for name in names}
    print(*(f"{name:13} {result}" for name, result in results.items()), sep="\n")
    return int("passed" not in results.values() or any(result.startswith("FAILED") for result in results.values()))


def installed_extras() -> list[str]:
    """The extras that `make install` installs."""
    found = re.search(r"^EXTRAS := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1].split(",")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
