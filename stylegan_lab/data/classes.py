"""The classes of labelled data, by name; a label is the place of a name."""

from collections.abc import Sequence

from stylegan_lab.choice import choose
from stylegan_lab.mistake import Mistake


def distinct(classes: Sequence[str], known: Sequence[str]) -> list[str]:
    """What was chosen of the `known`, each once."""
    names = [str(name) for name in classes]
    for name in names:
        choose("data.classes", name, dict.fromkeys(known))
    if not names or len(set(names)) < len(names):
        raise Mistake(f"data.classes={names}: one or more that differ are expected, of {', '.join(known)}")
    return names
