"""Looks names up in a table of choices. The error for an unknown name suggests the closest one and lists all."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from stylegan_lab.errors import UserError

T = TypeVar("T")


def lookup(setting: str, name: str, table: Mapping[str, T], code: str = "config.unknown_choice") -> T:
    if name not in table:
        raise UserError(code, f"{setting}={name} is unknown{did_you_mean(name, table)}; choices: {', '.join(table)}")
    return table[name]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` (did you mean X?)` with the closest of the names, or an empty string if none is close."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
