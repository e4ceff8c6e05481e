"""Samplers choose the next trial. A grid runs every point once. An Optuna study chooses points from the results of finished
trials."""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from math import isnan, nan
from typing import Any

from stylegan_lab.errors import UserError
from stylegan_lab.files.file_lock import file_lock, try_lock
from stylegan_lab.reporting.statistics import mean
from stylegan_lab.suggestions import did_you_mean
from stylegan_lab.sweeps.search_space import Point, SearchAxis, grid_points
from stylegan_lab.sweeps.sweep_plan import SweepPlan
from stylegan_lab.sweeps.trial import TRIALS, Trial


class GridSampler:
    """Every combination of the listed values, with every seed."""

    def __init__(self, plan: SweepPlan) -> None:
        points = itertools.product(list(grid_points(plan.axes)), plan.seeds)
        self.trials = [plan.make_trial(number, point, seed) for number, (point, seed) in enumerate(points)]
        self._folder, self._remaining = plan.folder, iter(self.trials)

    def next_trial(self) -> tuple[Trial, int] | None:
        """Return the next trial and its lock, or None if all trials are finished or locked by other workers."""
        for trial in self._remaining:
            handle = try_lock(self._folder / TRIALS / f"{trial.number}.lock")
            if handle is not None:
                trial.load()
                if trial.state != "complete":
                    return trial, handle
                os.close(handle)
        return None

    def should_prune(self, trial: Trial, rows: Sequence[dict[str, float]]) -> bool:
        """Report the new rows of metrics.jsonl to the sampler, and return whether the trial should be stopped early."""
        return False

    def record(self, trial: Trial) -> None:
        """Record the result of a trial that has exited."""


class OptunaStudy:
    """An Optuna study in the folder of the sweep. A trial of Optuna is a point of this sweep: the point is run with every
    seed, and the study records the mean of each objective over the seeds."""

    def __init__(self, plan: SweepPlan) -> None:
        self._optuna = load_optuna()
        self._plan, self._settings = plan, plan.settings
        self._queue: list[tuple[Trial, int]] = []
        self._open_points: dict[int, tuple[Any, list[Trial]]] = {}  # by number: Optuna's trial, and our finished trials
        with file_lock(plan.folder / TRIALS / "study", waiting_message=False):
            directions = ["minimize" if each == "lower" else "maximize" for each in plan.directions.values()]
            pruner = self._optuna.pruners.MedianPruner(plan.settings.n_startup_trials, plan.settings.n_warmup_steps)
            options = {"directions": directions, "pruner": pruner, "load_if_exists": True}
            try:
                self._study = self._optuna.create_study(study_name="sweep", storage=self._storage(), **options)
            except Exception as error:
                sentence = str(error).splitlines()[0]
                raise UserError(
                    "sweep.storage_unusable",
                    f"sweep.storage={self._settings.storage} cannot be used: {sentence}; correct the setting, "
                    "or use sweep.storage=journal",
                ) from error
            self._check_same_definition()

    def next_trial(self) -> tuple[Trial, int] | None:
        if not self._queue:
            with file_lock(self._plan.folder / TRIALS / "study", waiting_message=False):
                self._queue = list(self._orphaned_trials()) or list(self._new_trials())
        return self._queue.pop(0) if self._queue else None

    def should_prune(self, trial: Trial, rows: Sequence[dict[str, float]]) -> bool:
        if self._settings.pruner is None:
            return False
        optuna_trial, _ = self._open_points[self._point_number(trial)]
        (objective,) = self._plan.directions
        trials = optuna_trial.study.get_trials(deepcopy=False)
        reported = trials[optuna_trial.number].intermediate_values
        for row in rows:
            if objective in row and int(row["iteration"]) not in reported:
                optuna_trial.report(row[objective], int(row["iteration"]))
        return bool(optuna_trial.should_prune())

    def record(self, trial: Trial) -> None:
        number, objectives = self._point_number(trial), self._plan.directions
        _, finished = self._open_points[number]
        if trial.state == "complete" and (
            missing := [name for name in objectives if isnan(trial.scores.get(name, nan))]
        ):
            recorded = [name for name in trial.scores if "/" in name and not name.startswith(("loss/", "lr/"))]
            trial.state = "failed"
            trial.reason = (
                f"{missing[0]} was not recorded{did_you_mean(missing[0], recorded)}; "
                f"recorded: {', '.join(recorded) or 'nothing'}"
            )
        if trial.is_finished:
            finished.append(trial)
        if len(finished) < len(self._plan.seeds):
            return  # other seeds of the point are still running, or the point will be resumed
        del self._open_points[number]
        states = self._optuna.trial.TrialState
        if any(each.state == "failed" for each in finished):
            self._study.tell(number, state=states.FAIL)
        elif any(each.state == "pruned" for each in finished):
            self._study.tell(number, state=states.PRUNED)
        else:
            self._study.tell(number, [mean([each.scores[name] for each in finished]) for name in objectives])

    def _point_number(self, trial: Trial) -> int:
        return trial.number // len(self._plan.seeds)

    def _orphaned_trials(self) -> Iterator[tuple[Trial, int]]:
        """Yield the unfinished trials of a point whose worker died before it recorded a result."""
        for frozen in self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,)):
            if frozen.number in self._open_points:
                continue
            point = self._point(frozen.params)
            if len(point) == len(self._plan.axes) and (locked := self._lock_point(frozen.number, point)):
                self._open_points[frozen.number] = (self._optuna.trial.Trial(self._study, frozen._trial_id), [])
                yield from self._unfinished(locked)
                return

    def _new_trials(self) -> Iterator[tuple[Trial, int]]:
        """Yield the trials of a new point, unless the study already has all of its points."""
        num_points = len(self._study.get_trials(deepcopy=False))
        if num_points >= (self._settings.n_trials or 0):
            return
        # Seeded by the number of the point, so that the points do not depend on which worker draws them.
        self._study.sampler = self._sampler(self._settings.seed + num_points)
        trial = self._study.ask({axis.key: self._distribution(axis) for axis in self._plan.axes})
        locked = self._lock_point(trial.number, self._point(trial.params))
        self._open_points[trial.number] = (trial, [])
        yield from locked

    def _point(self, params: Mapping[str, Any]) -> Point:
        return {axis.key: axis.format(params[axis.key]) for axis in self._plan.axes if axis.key in params}

    def _lock_point(self, number: int, point: Point) -> list[tuple[Trial, int]]:
        """Lock the trials of all seeds of a point. If one of them is locked elsewhere, lock none and return an empty list."""
        locked: list[tuple[Trial, int]] = []
        for index, seed in enumerate(self._plan.seeds):
            trial = self._plan.make_trial(number * len(self._plan.seeds) + index, point, seed)
            handle = try_lock(self._plan.folder / TRIALS / f"{trial.number}.lock")
            if handle is None:
                for _, other in locked:
                    os.close(other)
                return []
            locked.append((trial, handle))
        return locked

    def _unfinished(self, locked: Sequence[tuple[Trial, int]]) -> Iterator[tuple[Trial, int]]:
        for trial, handle in locked:
            trial.load()
            if not trial.is_finished:
                yield trial, handle
            else:
                os.close(handle)
                self.record(trial)

    def _distribution(self, axis: SearchAxis) -> Any:
        distributions = self._optuna.distributions
        if not axis.is_number:
            return distributions.CategoricalDistribution(axis.values)
        if axis.is_integer:
            return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        return distributions.FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)

    def _sampler(self, seed: int) -> Any:
        samplers = self._optuna.samplers
        if self._settings.sampler == "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        return (samplers.RandomSampler if self._settings.sampler == "random" else samplers.TPESampler)(seed=seed)

    def _storage(self) -> Any:
        storages = self._optuna.storages
        if self._settings.storage == "journal":
            journal = str(self._plan.folder / "study.journal")
            return storages.JournalStorage(storages.journal.JournalFileBackend(journal))
        if self._settings.storage == "sqlite":
            return f"sqlite:///{self._plan.folder / 'study.db'}"
        return self._settings.storage

    def _check_same_definition(self) -> None:
        """Refuse to resume a study with another definition. The number of trials and of workers may change."""
        plan = self._plan
        params, seeds = {axis.key: axis.text for axis in plan.axes}, list(plan.seeds)
        definition = {
            "params": params,
            "objectives": plan.directions,
            "seeds": seeds,
            "overrides": plan.common_overrides,
        }
        before = self._study.user_attrs.get("definition")
        if before is None:
            self._study.set_user_attr("definition", definition)
            return
        for key, now in json.loads(json.dumps(definition)).items():
            if before[key] != now:
                raise UserError(
                    "sweep.definition_changed",
                    f"{self._plan.folder} contains a search with other {key}: {_plain(before[key])} before, {_plain(now)} now; "
                    "use the same settings (only sweep.n_trials may grow), or another output_dir",
                )


TrialSource = GridSampler | OptunaStudy


def load_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        message = "searches need Optuna: pip install 'stylegan_lab[sweep]'; sweep=grid and seeds=5 work without it"
        raise UserError("sweep.package_missing", message) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    return " ".join(map(str, value))
