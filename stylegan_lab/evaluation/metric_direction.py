"""The direction in which a metric improves, and the arrow that marks it in tables."""

from typing import Literal

Direction = Literal["lower", "higher"]
ARROWS: dict[Direction, str] = {"lower": "↓", "higher": "↑"}
