"""A score and its protocol: what was measured, how, and on which pictures; only scores of one protocol are compared."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WHAT_IS_HELD_OUT = (  # of the data's settings
    "root", "a", "b", "source", "target", "domains", "classes", "size", "channels", "world", "val_scenes", "val_stacks",
    "val_share", "val_list", "split_seed", "sides", "factor",
)  # fmt: skip
ALIKE = 1e-3  # by how much of itself a yardstick may move between machines and versions


@dataclass(frozen=True)
class Protocol:
    """`yardsticks` are what pictures score that no model made: they tell whether other pictures were used."""

    told: Mapping[str, Any]
    yardsticks: Mapping[str, float] = field(default_factory=dict)

    def agrees(self, other: "Protocol") -> bool:
        both = [(value, other.yardsticks[name]) for name, value in self.yardsticks.items() if name in other.yardsticks]
        same_pictures = all(math.isclose(mine, its, rel_tol=ALIKE, abs_tol=1e-9) for mine, its in both)
        return same_pictures and _plain(self.told) == _plain(other.told)

    def unlike(self, other: "Protocol") -> str:
        """What differs, in a few words."""
        names = [name for name in {**self.told, **other.told} if self.told.get(name) != other.told.get(name)]
        told = [f"{name} {_short(self.told.get(name))} and {_short(other.told.get(name))}" for name in names]
        return ", ".join(told) or "other pictures: those that no model made score otherwise"


@dataclass(frozen=True)
class Score:
    value: float
    protocol: Protocol
    iteration: int | None = None
    better: str | None = None  # as the run says it


def scores_of(evaluation: Mapping[str, Any]) -> dict[str, Score]:
    """What one evaluation says, by split and metric."""
    protocols: Mapping[str, Any] = evaluation.get("protocol") or {}
    metrics = evaluation["metrics"]
    general = {name: value for name, value in protocols.items() if name not in metrics}
    general |= {name: evaluation[name] for name in ("n", "ema") if name in evaluation}
    general |= {f"{name} pictures": count for name, count in (evaluation.get("counts") or {}).items()}
    better = evaluation.get("better") or {}
    split = evaluation.get("split", "test")
    yardsticks = yardsticks_of(evaluation)
    return {
        f"{split}/{name}": Score(
            float(value),
            Protocol(general | {"how": protocols.get(name)}, yardsticks),
            evaluation.get("iteration"),
            better.get(name),
        )
        for name, value in metrics.items()
        if isinstance(value, int | float)
    }


def yardsticks_of(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Of a translation its inputs, of a generator pictures of the training, or, held against those, what is held out."""
    plain = evaluation.get("untranslated") or evaluation.get("training") or evaluation.get("held_out") or {}
    return {name: float(value) for name, value in plain.items() if isinstance(value, int | float) and value == value}


def scores_on_the_way(
    rows: Sequence[Mapping[str, float]], told: Mapping[str, Any], data: Mapping[str, Any]
) -> dict[str, Score]:
    """The last that were taken while training, as the run's protocol.json tells of them. No yardstick is taken then: that other
    pictures are held out is told by the settings of the `data`."""
    how, better = told.get("protocol") or {}, told.get("better") or {}
    general = {"taken": "while training", "ema": told.get("ema"), **(told.get("counts") or {})}
    general |= {f"data.{name}": data[name] for name in WHAT_IS_HELD_OUT if name in data}
    return {
        name: Score(float(value), Protocol(general | {"how": how.get(name)}), int(row["iteration"]), better.get(name))
        for row in rows
        for name, value in row.items()
        if name.startswith("val/") and isinstance(value, int | float)
    }


def _plain(told: Mapping[str, Any]) -> str:
    return json.dumps(told, sort_keys=True)


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
