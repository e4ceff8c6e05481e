"""Which way a score is better, and the arrow that says so."""

from typing import Literal

Better = Literal["lower", "higher"]
SIGNS: dict[Better, str] = {"lower": "↓", "higher": "↑"}
