"""Write docs/configs.md from conf/ (`make docs`); a test checks that the page is current."""

from pathlib import Path

from stylegan_lab.config.paths import CONF

HEAD = """# Config groups

Written by `make docs` from `conf/`. Choose an option of a group with `group=option` on the command line, or with
`override /group: option` in an experiment; change one of its settings with `group.setting=value`.

```bash
stylegan-lab train experiment=smoke --cfg job     # the composed configuration
stylegan-lab train experiment=smoke --info defaults-tree    # the file that each part comes from
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
    """The settings a user sets, without Hydra's own configuration."""
    return text[text.index("# The budget") : text.index("\nhydra:")]


if __name__ == "__main__":
    Path(__file__).with_name("configs.md").write_text(page())
