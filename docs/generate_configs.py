"""Write docs/configs.md from conf/ (`make docs`); a test checks that the page is current."""

from pathlib import Path

from stylegan_lab.config.paths import CONF

HEAD = """# Configure a training

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


def page() -> str:
    groups = sorted({path.parent.relative_to(CONF) for path in CONF.rglob("*.yaml") if path.parent != CONF})
    top = f"## The top level\n\n```yaml\n{_without_defaults((CONF / 'train.yaml').read_text())}```\n"
    return HEAD + "\n".join([top, *(_group(group) for group in groups)])


def _group(group: Path) -> str:
    lines = [f"## {group}\n"]
    for path in sorted((CONF / group).glob("*.yaml")):
        text = path.read_text().replace("# @package _global_\n", "")
        lines.append(f"### {group}={path.stem}\n\n```yaml\n{text}```\n")
    return "\n".join(lines)


def _without_defaults(text: str) -> str:
    """The settings a user sets, without Hydra's own configuration."""
    return text[text.index("# The budget") : text.index("\nhydra:")]


if __name__ == "__main__":
    Path(__file__).with_name("configs.md").write_text(page())
