"""JSON that every reader takes: it has no word for what is no finite number, so null stands for that."""

import json
import math
from collections.abc import Mapping
from typing import Any


def as_json(told: Any, indent: int | None = None) -> str:
    return json.dumps(_finite(told), indent=indent, allow_nan=False)


def _finite(told: Any) -> Any:
    if isinstance(told, float):
        return told if math.isfinite(told) else None
    if isinstance(told, Mapping):
        return {key: _finite(value) for key, value in told.items()}
    return [_finite(value) for value in told] if isinstance(told, list | tuple) else told
