"""Write docs/configs.md, docs/commands.md, docs/api.md and docs/error-codes.md, which only the site has (`make docs`)."""

import os
import subprocess
import sys
from pathlib import Path

import error_codes  # of this folder

import stylegan_lab
from stylegan_lab.cli.main import COMMANDS
from stylegan_lab.config.paths import CONF

DOCS = Path(__file__).parent
CONFIGS_HEAD = """# Configure a training

Choose an option of a config group with `group=option`, and change a setting with
`group.setting=value`. In the file of an experiment, `override /group: option` chooses an option.
Print the result before training:

```bash
stylegan-lab train help loss    # the options of a group
stylegan-lab train experiment=smoke --cfg job    # the settings that have an effect
stylegan-lab train experiment=smoke --info defaults-tree    # the files that it is composed from
```

This page lists the top-level settings and then all options of every group. `make docs` writes it
from `conf/`.

"""


def configs() -> str:
    groups = sorted({path.parent.relative_to(CONF) for path in CONF.rglob("*.yaml") if path.parent != CONF})
    top = f"## The top level\n\n```yaml\n{_without_defaults((CONF / 'train.yaml').read_text())}```\n"
    return CONFIGS_HEAD + "\n".join([top, *(_group(group) for group in groups)])


def _group(group: Path) -> str:
    lines = [f"## {group}\n"]
    for path in sorted((CONF / group).glob("*.yaml")):
        text = path.read_text().replace("# @package _global_\n", "")
        lines.append(f"### {group}={path.stem}\n\n```yaml\n{text}```\n")
    return "\n".join(lines)


def _without_defaults(text: str) -> str:
    """The settings a user sets, without Hydra's own configuration."""
    return text[text.index("# The budget") : text.index("\nhydra:")]


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
    (DOCS / "configs.md").write_text(configs(), encoding="utf-8")
    (DOCS / "commands.md").write_text(commands(), encoding="utf-8")
    (DOCS / "api.md").write_text(api(), encoding="utf-8")
    (DOCS / "error-codes.md").write_text(error_codes.page(), encoding="utf-8")
