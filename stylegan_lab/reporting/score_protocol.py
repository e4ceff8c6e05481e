"""A score and the protocol by which it was measured. Only scores with the same protocol are compared."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

Json = Mapping[str, Any]
# Data settings that decide which images are held out.
HELD_OUT_SETTINGS = (
    *("root", "a", "b", "source", "target", "domains", "classes", "size", "channels", "dataset_seed"),
    *("val_images", "val_fraction", "val_list", "split_seed", "sides", "factor"),
)
REFERENCE_TOLERANCE = 1e-3  # relative; reference scores vary this much between machines and library versions


@dataclass(frozen=True)
class ScoreProtocol:
    """How a score was measured. `reference_scores` are scores of images that no model made. If they differ, the held-out
    images differ."""

    settings: Mapping[str, Any]
    reference_scores: Mapping[str, float] = field(default_factory=dict)

    def matches(self, other: "ScoreProtocol") -> bool:
        mine, theirs = self.reference_scores, other.reference_scores
        is_close = partial(math.isclose, rel_tol=REFERENCE_TOLERANCE, abs_tol=1e-9)
        same_images = all(is_close(mine[name], theirs[name]) for name in mine if name in theirs)
        return same_images and json.dumps(self.settings, sort_keys=True) == json.dumps(other.settings, sort_keys=True)

    def difference_from(self, other: "ScoreProtocol") -> str:
        mine, theirs = self.settings, other.settings
        names = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
        differences = [f"{name} {_short(mine.get(name))} and {_short(theirs.get(name))}" for name in names]
        return ", ".join(differences) or "other images: their reference scores differ"


@dataclass(frozen=True)
class ProtocolScore:
    value: float
    protocol: ScoreProtocol
    iteration: int | None = None
    direction: str | None = None  # as recorded by the run


def scores_by_name(evaluation: Json) -> dict[str, ProtocolScore]:
    """Return the scores of one evaluation (scores.json) under the names SPLIT/METRIC."""
    split, metrics, protocols = evaluation.get("split", "test"), evaluation["metrics"], evaluation.get("protocol") or {}
    shared = {name: value for name, value in protocols.items() if name not in metrics}
    shared |= {name: evaluation[name] for name in ("n", "ema") if name in evaluation}
    shared |= {f"{name} images": count for name, count in (evaluation.get("counts") or {}).items()}
    references = reference_scores(evaluation)
    return _protocol_scores(metrics, evaluation, evaluation.get("iteration"), shared, references, f"{split}/")


def reference_scores(evaluation: Json) -> dict[str, float]:
    """Return scores that need no model, for comparison with the model's scores. A translation model is compared with its
    untranslated inputs. A noise-to-image model is compared with training images, or with held-out images if its scores
    are measured on the training set."""
    scores = evaluation.get("untranslated") or evaluation.get("training") or evaluation.get("held_out") or {}
    return {name: float(value) for name, value in scores.items() if isinstance(value, int | float) and value == value}


def validation_scores(rows: Sequence[Mapping[str, float]], protocol: Json, data: Json) -> dict[str, ProtocolScore]:
    """Return the last validation scores, with the `protocol` of protocol.json. Validation measures no reference scores, so
    the settings of `data` identify the held-out images."""
    shared = {"measured": "during training", "ema": protocol.get("ema"), **(protocol.get("counts") or {})}
    shared |= {f"data.{name}": data[name] for name in HELD_OUT_SETTINGS if name in data}
    found: dict[str, ProtocolScore] = {}
    for row in rows:
        if values := {name: value for name, value in row.items() if name.startswith("val/")}:
            found |= _protocol_scores(values, protocol, int(row["iteration"]), shared, {})
    return found


def _protocol_scores(
    values: Json,
    described: Json,
    iteration: int | None,
    shared: Json,
    references: Mapping[str, float],
    prefix: str = "",
) -> dict[str, ProtocolScore]:
    """Build the scores. `described` holds their protocols and directions by name, and `shared` the settings that all protocols
    have."""
    protocols, directions = described.get("protocol") or {}, described.get("better") or {}
    return {
        f"{prefix}{name}": ProtocolScore(float(value), protocol, iteration, directions.get(name))
        for name, value in values.items()
        if isinstance(value, int | float)
        for protocol in [ScoreProtocol({**shared, "metric": protocols.get(name)}, references)]
    }


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
