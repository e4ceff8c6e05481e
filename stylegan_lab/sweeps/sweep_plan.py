"""The plan of a sweep: the settings of conf/sweep, the search space, the seeds, and the direction of each objective."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from stylegan_lab.config.instantiate import instantiate, instantiate_each
from stylegan_lab.config.schema import BUDGETS
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.evaluation.metric_direction import Direction
from stylegan_lab.evaluation.metrics import Metric, select_metrics
from stylegan_lab.suggestions import did_you_mean
from stylegan_lab.sweeps.search_space import Point, SearchAxis, check_axes, one_at_a_time_points, override_key, parse
from stylegan_lab.sweeps.trial import Trial


@dataclass(frozen=True)
class SweepSettings:
    """The settings of one file of conf/sweep, which are checked on creation."""

    params: Mapping[str, Any]  # the search space: config keys and values in Hydra's sweep syntax
    overrides: Sequence[str]  # of every trial; those of the command line take precedence
    sampler: Literal["grid", "random", "tpe", "cmaes"]
    n_trials: int | None  # points that a search draws
    objectives: Sequence[str]  # metrics, by their names in metrics.jsonl
    directions: Mapping[str, Direction]  # of objectives that are not metrics of the package
    pruner: Literal["median"] | None
    n_startup_trials: int  # before the pruner becomes active
    n_warmup_steps: int  # iterations of each trial before the pruner becomes active
    seeds: int  # that each point is run with
    n_jobs: int  # trials that run at the same time
    storage: str  # of Optuna's study: `journal`, `sqlite` or the URL of a database
    seed: int  # of the sampler

    def __post_init__(self) -> None:
        check_at_least("sweep.seeds", self.seeds, 1)
        check_at_least("sweep.n_jobs", self.n_jobs, 1)
        check_at_least("sweep.n_startup_trials", self.n_startup_trials, 1)
        check_at_least("sweep.n_warmup_steps", self.n_warmup_steps, 0)
        check_at_least("sweep.seed", self.seed, 0)
        if self.sampler != "grid":
            if self.n_trials is None:
                raise UserError(
                    "sweep.n_trials_missing",
                    f"sweep.sampler={self.sampler} needs the number of trials, such as sweep.n_trials=20",
                )
            check_at_least("sweep.n_trials", self.n_trials, 1)
        elif self.n_trials is not None:
            raise UserError(
                "sweep.n_trials_of_grid",
                f"sweep.n_trials={self.n_trials}: a grid runs all of its points; leave the setting out, or use sweep.sampler=tpe",
            )
        elif self.pruner:
            raise UserError(
                "sweep.pruner_of_grid",
                f"sweep.pruner={self.pruner}: a grid cannot be pruned; set sweep.pruner=null, or use a search, such as "
                "sweep.sampler=tpe",
            )
        if not self.objectives:
            raise UserError(
                "sweep.no_objectives", "sweep.objectives=[] is empty; give at least one metric, such as val/ssim"
            )
        if len(set(self.objectives)) < len(self.objectives):
            raise UserError(
                "sweep.repeated_objective",
                f"sweep.objectives=[{','.join(self.objectives)}] lists a metric twice; remove one of the two",
            )
        if self.sampler == "cmaes" and len(self.objectives) > 1:
            raise UserError(
                "sweep.several_objectives",
                f"sweep.sampler=cmaes supports one objective, not {len(self.objectives)}; sweep.sampler=tpe supports several",
            )
        if self.pruner and len(self.objectives) > 1:
            raise UserError(
                "sweep.several_objectives",
                f"sweep.pruner={self.pruner} supports one objective, not {len(self.objectives)}; give sweep.pruner=null",
            )
        if self.pruner and self.seeds > 1:
            raise UserError(
                "sweep.pruner_with_seeds",
                f"sweep.pruner={self.pruner} needs one seed per point, not sweep.seeds={self.seeds}; give sweep.pruner=null",
            )
        if self.storage not in ("journal", "sqlite") and "://" not in self.storage:
            raise UserError(
                "config.unknown_choice",
                f"sweep.storage={self.storage} is unknown; choices: journal, sqlite, or the URL of a database",
            )


class SweepPlan:
    """The settings, search space, seeds and objectives of a sweep. Creating the plan composes a config with every listed
    value and with both ends of each interval, so that a wrong value is reported before the first trial starts."""

    def __init__(self, arguments: Sequence[str], hydra_context: Any, config: DictConfig) -> None:
        settings: SweepSettings = instantiate(config.sweep, where="sweep")
        arguments = [argument for argument in arguments if override_key(argument).split(".")[0] != "sweep"]
        axes, overrides = parse(settings.params, arguments)
        check_axes(axes, settings.sampler)
        self.settings, self.axes = settings, [axis for axis in axes if axis.key != "seed"]
        defaults = _not_overridden(settings.overrides, [*overrides, *(axis.key for axis in axes)])
        self.common_overrides = [*defaults, *overrides]
        if settings.sampler != "grid" and not self.axes:
            raise UserError(
                "sweep.nothing_to_search",
                f"sweep.sampler={settings.sampler} has nothing to search: give 'KEY=interval(LOW,HIGH)' or KEY=A,B",
            )
        self.folder, self.flags = Path(config.hydra.sweep.dir).absolute(), config_flags(config)
        composed = [  # composing raises if a key or a choice does not exist
            hydra_context.config_loader.load_sweep_config(config, self.make_trial(0, point, None).overrides)
            for point in one_at_a_time_points(self.axes)
        ]
        self.first_config: DictConfig = composed[0]
        seed_axis = next((axis for axis in axes if axis.key == "seed"), None)
        self.seeds = _seeds(settings.seeds, seed_axis, self.first_config)
        metrics = select_metrics(instantiate_each(self.first_config.metrics, self.first_config.trust, "metrics"))
        self.directions = objective_directions(settings, metrics)

    def make_trial(self, number: int, point: Point, seed: int | None) -> Trial:
        overrides = [*self.common_overrides, *(f"{key}={value}" for key, value in point.items())]
        if seed is not None:
            overrides = [*(each for each in overrides if override_key(each) != "seed"), f"seed={seed}"]
        return Trial(number, point, seed, overrides, self.folder)

    @property
    def num_trials(self) -> int:
        """The number of trials: points times seeds."""
        return (self.settings.n_trials or prod(len(axis.values) for axis in self.axes)) * len(self.seeds)

    def lines(self) -> list[str]:
        """Return the summary lines that are printed before the first trial, or by a dry run."""
        settings = self.settings
        seeds = [] if self.seeds == [None] else [f"seeds      {' '.join(map(str, self.seeds))}"]
        return [
            f"sweep      {self.num_trials} trials in {self.folder}, n_jobs={settings.n_jobs}, sampler={settings.sampler}",
            *(f"params     {axis.key}={axis.text}" for axis in self.axes),
            *seeds,
            f"overrides  {' '.join(self.common_overrides)}",
            f"objectives {', '.join(f'{name} ({direction} is better)' for name, direction in self.directions.items())}",
        ]


def config_flags(config: DictConfig) -> list[str]:
    """Return the command-line flags with which the process of a trial finds the same config files."""
    sources = config.hydra.runtime.config_sources
    folders = [source.path for source in sources if source.provider == "command-line"]
    search_path = [each for each in config.hydra.overrides.hydra if override_key(each) == "hydra.searchpath"]
    return [*(word for folder in folders for word in ("--config-dir", folder)), *search_path]


def objective_directions(settings: SweepSettings, metrics: Mapping[str, Metric]) -> dict[str, Direction]:
    """Return the direction of each objective: the direction of the metric or, for an objective that is not a metric, the
    direction in sweep.directions."""
    found: dict[str, Direction] = {}
    for name, direction in settings.directions.items():
        if direction not in ("lower", "higher"):
            raise UserError(
                "config.unknown_choice", f"sweep.directions.{name}={direction} is unknown; choices: lower, higher"
            )
        if name not in settings.objectives:
            raise UserError(
                "sweep.direction_without_objective",
                f"sweep.directions.{name}: {name} is missing from sweep.objectives=[{','.join(settings.objectives)}]; add it there",
            )
    for name in settings.objectives:
        split, _, metric_name = name.partition("/")
        metric = metrics.get(metric_name) if split in ("val", "test") else None
        configured = settings.directions.get(name)
        if metric and configured and configured != metric.direction:
            raise UserError(
                "sweep.wrong_direction",
                f"sweep.directions.{name}={configured}: {metric.direction} is better for this metric; leave the setting out",
            )
        if metric is None and configured is None:
            names = [f"{each}/{metric_name}" for each in ("val", "test") for metric_name in metrics]
            suggestion = did_you_mean(name, names)
            if split in ("val", "test") or suggestion:
                raise UserError(
                    "sweep.unknown_objective",
                    f"sweep.objectives: {name} is unknown{suggestion}; choices: {', '.join(names)}",
                )
            raise UserError(
                "sweep.direction_missing",
                f"sweep.objectives: the direction of {name} is not known; give '+sweep.directions={{{name}:lower}}'",
            )
        found[name] = metric.direction if metric else settings.directions[name]
    return found


def _not_overridden(overrides: Sequence[str], by: Sequence[str]) -> list[str]:
    """Return the overrides whose keys do not occur in `by`. A budget key (iterations, epochs or images) in `by` replaces
    all three budget keys."""
    keys = {override_key(each) for each in by}
    keys |= set(BUDGETS) if keys & set(BUDGETS) else set()
    return [each for each in overrides if override_key(each) not in keys]


def _seeds(number: int, axis: SearchAxis | None, config: DictConfig) -> list[int | None]:
    if axis is not None:
        if number > 1:
            raise UserError(
                "sweep.seeds_twice", f"seed={axis.text} and seeds={number} both choose the seeds; remove one of them"
            )
        if bad := [value for value in axis.values if not value.isdigit()] or ([] if axis.values else [axis.text]):
            raise UserError(
                "sweep.seed_not_integer", f"seed={bad[0]} must be an integer; give seeds such as seed=0,1,2 or seeds=3"
            )
        return [int(value) for value in axis.values]
    return [None] if number == 1 else [int(config.seed) + index for index in range(number)]
