"""Flattens a nested config into pairs of dotted keys and values."""

from collections.abc import Iterator, Mapping
from typing import Any


def flatten(config: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every entry of a nested config, parents before children: `{"a": {"b": 1}}` gives `("a", {"b": 1})` and `("a.b", 1)`."""
    for name, value in config.items():
        key = f"{prefix}.{name}" if prefix else str(name)
        yield key, value
        if isinstance(value, dict):
            yield from flatten(value, key)


def flatten_leaves(config: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the values that are not mappings, by their dotted keys."""
    return {key: value for key, value in flatten(config) if not isinstance(value, dict)}
