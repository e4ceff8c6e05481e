"""What a sweep is asked to do: one file of conf/sweep, checked."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from stylegan_lab.better import Better
from stylegan_lab.mistake import Mistake, at_least


class Settings:
    """`space` is laid out by `sampler`: all of it (grid), or `trials` points of it. Each point is played with so many `seeds`."""

    def __init__(
        self,
        space: Mapping[str, Any],
        overrides: Sequence[str],
        sampler: Literal["grid", "random", "tpe", "cmaes"],
        trials: int | None,
        scores: Sequence[str],
        better: Mapping[str, Better],
        pruner: Literal["median"] | None,
        prune_after: int,
        prune_from: int,
        seeds: int,
        at_once: int,
        storage: str,
        seed: int,
    ) -> None:
        at_least("sweep.seeds", seeds, 1)
        at_least("sweep.at_once", at_once, 1)
        at_least("sweep.prune_after", prune_after, 1)
        at_least("sweep.prune_from", prune_from, 0)
        at_least("sweep.seed", seed, 0)
        if sampler != "grid":
            if trials is None:
                raise Mistake(f"sweep.sampler={sampler} samples without end; say how often: sweep.trials=20")
            at_least("sweep.trials", trials, 1)
        elif trials is not None:
            raise Mistake(f"sweep.trials={trials}: a grid has as many trials as it has points; leave it out")
        elif pruner:
            raise Mistake(f"sweep.pruner={pruner}: a grid plays all its points; searches (sweep.sampler=tpe) prune")
        if not scores:
            raise Mistake("sweep.scores=[]: at least one score is expected, such as val/ssim")
        if len(set(scores)) < len(scores):
            raise Mistake(f"sweep.scores=[{','.join(scores)}] has a score twice")
        if sampler == "cmaes" and len(scores) > 1:
            raise Mistake(
                f"sweep.sampler=cmaes follows one score, not {len(scores)}; sweep.sampler=tpe follows several"
            )
        if pruner and len(scores) > 1:
            raise Mistake(f"sweep.pruner={pruner} goes by one score, not {len(scores)}; give sweep.pruner=null")
        if pruner and seeds > 1:
            raise Mistake(f"sweep.pruner={pruner} looks at one run of a point, not at {seeds}; give sweep.pruner=null")
        if storage not in ("journal", "sqlite") and "://" not in storage:
            raise Mistake(f"sweep.storage={storage} is unknown; choices: journal, sqlite, or a database's URL")
        self.space, self.overrides, self.scores, self.better = dict(space), list(overrides), list(scores), dict(better)
        self.sampler, self.trials, self.seed, self.seeds = sampler, trials or 0, seed, seeds
        self.pruner, self.prune_after, self.prune_from = pruner, prune_after, prune_from
        self.at_once, self.storage = at_once, storage
