"""Where the next trial comes from: the points of a grid, each once, or a study that learns from those before."""

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from stylegan_lab.better import Better
from stylegan_lab.choice import nearest
from stylegan_lab.mistake import Mistake
from stylegan_lab.sweeps.claim import alone, claim
from stylegan_lab.sweeps.settings import Settings
from stylegan_lab.sweeps.space import Axis, Point, grid
from stylegan_lab.sweeps.spread import mean
from stylegan_lab.sweeps.trial import TRIALS, Trial

Make = Callable[[int, Point, int | None], Trial]  # a trial from its number, its point and its seed


class Source(Protocol):
    def next(self) -> tuple[Trial, int] | None:
        """A trial to play, and the claim on it. None: nothing is left, or others have it."""

    def prunes(self, trial: Trial, rows: Sequence[dict[str, float]]) -> bool:
        """Whether what the trial has recorded by now leaves no hope."""

    def tell(self, trial: Trial) -> None:
        """What became of a trial."""


class Grid:
    def __init__(self, sweep: Path, axes: Sequence[Axis], seeds: Sequence[int | None], make: Make) -> None:
        self.trials = [
            make(number, point, seed) for number, (point, seed) in enumerate(itertools.product(list(grid(axes)), seeds))
        ]
        self._sweep, self._left = sweep, iter(self.trials)

    def next(self) -> tuple[Trial, int] | None:
        for trial in self._left:
            handle = claim(self._sweep / TRIALS / f"{trial.number}.lock")
            if handle is not None:
                trial.read()
                if trial.state != "done":
                    return trial, handle
                os.close(handle)
        return None

    def prunes(self, trial: Trial, rows: Sequence[dict[str, float]]) -> bool:
        return False

    def tell(self, trial: Trial) -> None:
        pass


class Study:
    """An Optuna study in the sweep's folder. Its trials are points; each is played with every seed, and their mean counts."""

    def __init__(
        self,
        sweep: Path,
        axes: Sequence[Axis],
        seeds: Sequence[int | None],
        make: Make,
        settings: Settings,
        directions: dict[str, Better],
        fixed: Sequence[str],
    ) -> None:
        self._optuna = load_optuna()
        self._sweep, self._axes, self._seeds, self._make = sweep, axes, seeds, make
        self._settings, self._directions = settings, directions
        self._queue: list[tuple[Trial, int]] = []
        self._points: dict[
            int, tuple[Any, list[Trial]]
        ] = {}  # by the study's number: its trial, and ours that are over
        with alone(sweep / TRIALS / "study.lock"):
            self._study = (
                self._optuna.create_study(
                    study_name="sweep",
                    storage=self._storage(),
                    directions=["minimize" if better == "lower" else "maximize" for better in directions.values()],
                    pruner=self._pruner(),
                    load_if_exists=True,
                )
                if not self._exists()
                else self._optuna.load_study(study_name="sweep", storage=self._storage(), pruner=self._pruner())
            )
            self._check_same(
                {
                    "space": {axis.key: axis.written for axis in axes},
                    "scores": directions,
                    "seeds": list(seeds),
                    "overrides": list(fixed),
                }
            )

    def next(self) -> tuple[Trial, int] | None:
        if not self._queue:
            with alone(self._sweep / TRIALS / "study.lock"):
                self._queue = list(self._left_behind()) or list(self._asked())
        return self._queue.pop(0) if self._queue else None

    def prunes(self, trial: Trial, rows: Sequence[dict[str, float]]) -> bool:
        if self._settings.pruner is None:
            return False
        studied, _ = self._points[trial.number // len(self._seeds)]
        (score,) = self._directions
        known = studied.study.get_trials(deepcopy=False)[studied.number].intermediate_values
        for row in rows:
            if score in row and int(row["iteration"]) not in known:
                studied.report(row[score], int(row["iteration"]))
        return bool(studied.should_prune())

    def tell(self, trial: Trial) -> None:
        number = trial.number // len(self._seeds)
        _, over = self._points[number]
        if trial.state == "done" and (missing := [name for name in self._directions if not _is_number(trial, name)]):
            taken = [name for name in trial.scores if "/" in name and not name.startswith(("loss/", "rate/"))]
            trial.state = "failed"
            trial.reason = (
                f"{missing[0]} was not scored{nearest(missing[0], taken)}; scored: {', '.join(taken) or 'nothing'}"
            )
        if trial.is_over:
            over.append(trial)
        if len(over) < len(self._seeds):
            return  # the point is not over, or is to be gone on with
        del self._points[number]
        states = self._optuna.trial.TrialState
        if any(each.state == "failed" for each in over):
            self._study.tell(number, state=states.FAIL)
        elif any(each.state == "pruned" for each in over):
            self._study.tell(number, state=states.PRUNED)
        else:
            self._study.tell(number, [mean([each.scores[name] for each in over]) for name in self._directions])

    def _left_behind(self) -> Iterator[tuple[Trial, int]]:
        """The trials of a point that was begun by a worker that is no more, and told of by none."""
        for frozen in self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,)):
            if frozen.number in self._points:
                continue
            point = {
                axis.key: self._shown(axis, frozen.params[axis.key]) for axis in self._axes if axis.key in frozen.params
            }
            if len(point) == len(self._axes) and (taken := self._take(frozen.number, point)):
                self._points[frozen.number] = (self._optuna.trial.Trial(self._study, frozen._trial_id), [])
                yield from self._still_to_play(taken)
                return

    def _asked(self) -> Iterator[tuple[Trial, int]]:
        """The trials of a new point, if the study is to have one more."""
        begun = len(self._study.get_trials(deepcopy=False))
        if begun >= self._settings.trials:
            return
        self._study.sampler = self._sampler(self._settings.seed + begun)  # chance by number, whoever asks and when
        trial = self._study.ask({axis.key: self._distribution(axis) for axis in self._axes})
        taken = self._take(trial.number, {axis.key: self._shown(axis, trial.params[axis.key]) for axis in self._axes})
        self._points[trial.number] = (trial, [])
        yield from taken or []

    def _take(self, number: int, point: Point) -> list[tuple[Trial, int]]:
        """Claims on all of a point's trials, or on none."""
        taken: list[tuple[Trial, int]] = []
        for index, seed in enumerate(self._seeds):
            trial = self._make(number * len(self._seeds) + index, point, seed)
            handle = claim(self._sweep / TRIALS / f"{trial.number}.lock")
            if handle is None:
                for _, held in taken:
                    os.close(held)
                return []
            taken.append((trial, handle))
        return taken

    def _still_to_play(self, taken: Sequence[tuple[Trial, int]]) -> Iterator[tuple[Trial, int]]:
        for trial, handle in taken:
            trial.read()
            if not trial.is_over:
                yield trial, handle
            else:
                os.close(handle)
                self.tell(trial)

    def _shown(self, axis: Axis, value: Any) -> str:
        return value if isinstance(value, str) else axis.show(value)

    def _distribution(self, axis: Axis) -> Any:
        distributions = self._optuna.distributions
        if not axis.is_number:
            return distributions.CategoricalDistribution(axis.values)
        if axis.whole:
            return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        return distributions.FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)

    def _sampler(self, seed: int) -> Any:
        samplers = self._optuna.samplers
        if self._settings.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if self._settings.sampler == "tpe":
            return samplers.TPESampler(seed=seed)
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)

    def _pruner(self) -> Any:
        if self._settings.pruner is None:
            return self._optuna.pruners.NopPruner()
        return self._optuna.pruners.MedianPruner(self._settings.prune_after, self._settings.prune_from)

    def _storage(self) -> Any:
        storages = self._optuna.storages
        if self._settings.storage == "journal":
            return storages.JournalStorage(storages.journal.JournalFileBackend(str(self._sweep / "study.journal")))
        if self._settings.storage == "sqlite":
            return f"sqlite:///{self._sweep / 'study.db'}"
        return self._settings.storage

    def _exists(self) -> bool:
        try:
            return "sweep" in self._optuna.get_all_study_names(self._storage())
        except Exception as error:
            raise Mistake(
                f"sweep.storage={self._settings.storage} cannot be used: {str(error).splitlines()[0]}"
            ) from error

    def _check_same(self, asked: dict[str, Any]) -> None:
        """A study goes on with the question it was begun with; how many trials, and who plays them, may change."""
        before = self._study.user_attrs.get("asked")
        if before is None:
            self._study.set_user_attr("asked", asked)
            return
        for what, now in json.loads(json.dumps(asked)).items():
            if (was := before[what]) != now:
                raise Mistake(
                    f"{self._sweep} holds a search with other {what}: {_plainly(was)}, now {_plainly(now)}; "
                    "repeat it as it was (sweep.trials may grow), or give another output_dir"
                )


def load_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise Mistake(
            "searches need Optuna: pip install 'stylegan_lab[sweep]'; grids (sweep=grid) and seeds=5 do without"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _is_number(trial: Trial, name: str) -> bool:
    return name in trial.scores and trial.scores[name] == trial.scores[name]


def _plainly(value: Any) -> str:
    return (
        ", ".join(f"{key}={each}" for key, each in value.items())
        if isinstance(value, dict)
        else " ".join(map(str, value))
    )
