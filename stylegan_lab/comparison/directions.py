"""Which way a score is better: as the runs say it, else as the built-in metrics do."""

from collections.abc import Sequence

from stylegan_lab.better import Better
from stylegan_lab.comparison.entrant import Entrant

BOTH: dict[str, Better] = {"lower": "lower", "higher": "higher"}


def directions_of(names: Sequence[str], runs: Sequence[Entrant]) -> dict[str, Better]:
    said: dict[str, Better] = {}
    for run in runs:
        own = (run.config or {}).get("metrics") or {}
        for name in names:
            score, metric = run.scores.get(name), own.get(name.split("/", 1)[1])
            told = (score and score.better) or (metric or {}).get("better")
            if told in BOTH:
                said.setdefault(name, BOTH[told])
    silent = [name for name in names if name not in said]
    return said | (_built_in(silent) if silent else {})


def _built_in(names: Sequence[str]) -> dict[str, Better]:
    """Metrics come with torch, which takes seconds to load: asked only where a run does not say."""
    from stylegan_lab.evaluation.metrics import METRICS

    return {name: METRICS[metric].better for name in names if (metric := name.split("/", 1)[1]) in METRICS}
