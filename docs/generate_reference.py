"""Write the pages docs/commands.md and docs/api.md, which only the site has (`make docs`)."""

import os
import subprocess
import sys
from pathlib import Path

import stylegan_lab
from stylegan_lab.cli.main import COMMANDS

DOCS = Path(__file__).parent


def commands() -> str:
    text = "# Commands\n\nThe `--help` of each command.\n"
    for name, description in COMMANDS.items():
        text += f"\n## {name}\n\n{description[0].upper()}{description[1:]}.\n\n```text\n{help_of(name)}\n```\n"
    return text


def help_of(command: str) -> str:
    line = [sys.executable, "-m", "stylegan_lab", command, "--help"]
    environment = os.environ | {"COLUMNS": "90"}
    return subprocess.run(line, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def api() -> str:
    text = "# Python\n\nEverything that `import stylegan_lab` offers. [From Python](python.md) shows it in use.\n"
    for name in stylegan_lab.__all__:
        if name != "__version__":
            text += f"\n::: {getattr(stylegan_lab, name).__module__}.{name}\n"
    return text


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(commands(), encoding="utf-8")
    (DOCS / "api.md").write_text(api(), encoding="utf-8")
