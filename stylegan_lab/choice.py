"""Look a name up in a table of choices; an unknown name is answered with the nearest and with all of them."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from stylegan_lab.mistake import Mistake

T = TypeVar("T")


def choose(what: str, name: str, table: Mapping[str, T]) -> T:
    if name not in table:
        raise Mistake(f"{what}={name} is unknown{nearest(name, table)}; choices: {', '.join(table)}")
    return table[name]


def nearest(name: str, names: Iterable[str]) -> str:
    """A half sentence that names the likeliest meaning, or nothing."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
