"""Reduces a composed config to the part that has an effect. Config groups that nothing refers to are left out."""

import re

from stylegan_lab.config.paths import CONF

# Groups that a training uses by itself. Others, such as loss, are used where a `${loss}` refers to them.
ALWAYS_USED = {"model", "data", "callbacks", "trainer", "logger", "strategy", "metrics"}


def only_used_groups(config: str) -> str:
    """Return the YAML of a config without unused groups. A comment at the end lists the groups that were left out."""
    blocks = {re.split(r"\W", block)[0]: block for block in re.split(r"^(?=\w)", config, flags=re.MULTILINE) if block}
    groups = {name for name in blocks if (CONF / name).is_dir()}
    used = (blocks.keys() - groups) | ALWAYS_USED
    waiting = sorted(used & blocks.keys())
    while waiting:
        references = set(re.findall(r"\$\{(\w+)", blocks[waiting.pop()])) & blocks.keys()
        waiting += references - used
        used |= references
    text = "".join(block for name, block in blocks.items() if name in used)
    unused = [name for name, block in blocks.items() if name not in used and block.strip() != f"{name}: null"]
    return text + (f"# without effect here, and shown by --cfg all: {', '.join(unused)}\n" if unused else "")
