"""Writes configs.md from conf/, so that the page cannot go stale: `make docs`; a test compares."""

from pathlib import Path

from stylegan_lab.conf_dir import CONF

HEAD = """# Config groups

Written by `make docs` from `conf/`. A group's choice is `group=choice` on the command line or `override /group: choice` in
an experiment; each of its settings is `group.setting=value`.

```bash
stylegan-lab train experiment=smoke --cfg job     # the composed configuration
stylegan-lab train experiment=smoke --info defaults-tree    # where each part comes from
```

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
    """The settings a user sets; what Hydra itself is told is left out."""
    return text[text.index("# The budget") : text.index("\nhydra:")]


if __name__ == "__main__":
    Path(__file__).with_name("configs.md").write_text(page())
