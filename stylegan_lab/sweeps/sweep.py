"""A sweep, from the words after -m to a report: planned, tried out, played, told of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stylegan_lab.better import Better
from stylegan_lab.choice import nearest
from stylegan_lab.evaluation.metrics import Metric, chosen
from stylegan_lab.hardware import number_of_ranks
from stylegan_lab.instantiate import instantiate, instantiate_each
from stylegan_lab.mistake import Mistake
from stylegan_lab.runs import Run
from stylegan_lab.sweeps.board import Board
from stylegan_lab.sweeps.conducting import Conductor
from stylegan_lab.sweeps.devices import Devices, visible_gpus
from stylegan_lab.sweeps.playing import Launched, Player, Processes
from stylegan_lab.sweeps.report import Report
from stylegan_lab.sweeps.settings import Settings
from stylegan_lab.sweeps.sources import Grid, Source, Study, load_optuna
from stylegan_lab.sweeps.space import Axis, Point, check, key_of, parse, samples
from stylegan_lab.sweeps.trial import TRIALS, Trial, of_record, read_trials

BUDGETS = {"iterations", "epochs", "images"}
BAD = ("failed", "stopped")
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


class Plan:
    """What a sweep will play: its axes, what all trials share, its seeds, and which way each score is better."""

    def __init__(self, arguments: Sequence[str], context: Any, config: DictConfig) -> None:
        settings: Settings = instantiate(config.sweep, where="sweep")
        axes, given = parse(settings.space, [each for each in arguments if key_of(each).split(".")[0] != "sweep"])
        check(axes, settings.sampler)
        self.settings, self.axes = settings, [axis for axis in axes if axis.key != "seed"]
        self.fixed = [*_unsaid(settings.overrides, [*given, *(axis.key for axis in axes)]), *given]
        if settings.sampler != "grid":
            load_optuna()
            if not self.axes:
                raise Mistake(
                    f"sweep.sampler={settings.sampler} has nothing to search: give 'SETTING=interval(LOW,HIGH)', or lists"
                )
        self.sweep, self.flags = Path(config.hydra.sweep.dir).absolute(), flags_of(config)
        composed = [self._composed(context, config, point) for point in samples(self.axes)]
        self.first = composed[0]
        self.seeds = _seeds(settings.seeds, next((axis for axis in axes if axis.key == "seed"), None), self.first)
        metrics = chosen(instantiate_each(self.first.metrics, self.first.trust, "metrics"))
        self.directions = directions(settings, metrics)

    def trial(self, number: int, point: Point, seed: int | None) -> Trial:
        overrides = [*self.fixed, *(f"{key}={value}" for key, value in point.items())]
        if seed is not None:
            overrides = [*(each for each in overrides if key_of(each) != "seed"), f"seed={seed}"]
        return Trial(number, point, seed, overrides, self.sweep)

    def source(self) -> Source:
        if self.settings.sampler == "grid":
            return Grid(self.sweep, self.axes, self.seeds, self.trial)
        return Study(self.sweep, self.axes, self.seeds, self.trial, self.settings, self.directions, self.fixed)

    @property
    def total(self) -> int:
        points = self.settings.trials
        if self.settings.sampler == "grid":
            points = 1
            for axis in self.axes:
                points *= len(axis.values)
        return points * len(self.seeds)

    def devices(self) -> Devices:
        wanted, accelerator = self.first.strategy.devices, str(self.first.strategy.accelerator)
        gpus = [] if accelerator == "cpu" else visible_gpus()
        said = (isinstance(wanted, int) and wanted > 0) or OmegaConf.is_list(wanted)
        return Devices(gpus, self.settings.at_once, number_of_ranks(self.first) if said else None)

    def lines(self) -> list[str]:
        """What would be played."""
        seeds = [] if self.seeds == [None] else [f"seeds      {' '.join(map(str, self.seeds))}"]
        return [
            f"sweep      {self.total} trials in {self.sweep}, {self.settings.at_once} at once, {self.settings.sampler}",
            *(f"space      {axis.key}={axis.written}" for axis in self.axes),
            *seeds,
            f"all        {' '.join(self.fixed)}",
            f"scores     {', '.join(f'{name} ({better} is better)' for name, better in self.directions.items())}",
        ]

    def _composed(self, context: Any, config: DictConfig, point: Point) -> DictConfig:
        """The config of a point, whose settings and choices are known by having been composed."""
        composed: DictConfig = context.config_loader.load_sweep_config(config, self.trial(0, point, None).overrides)
        return composed


def sweep(arguments: Sequence[str], context: Any, task: Any, config: DictConfig) -> None:
    """Play what is left to play of it; whoever repeats the command goes on."""
    plan = Plan(arguments, context, config)
    if plan.first.dry_run:
        print("\n".join(plan.lines()))
        return
    if (plan.sweep / "config.yaml").is_file():
        raise Mistake(f"{plan.sweep} is a run's folder; a sweep needs one of its own: output_dir=FOLDER")
    Run(plan.sweep).make()
    (plan.sweep / TRIALS).mkdir(exist_ok=True)
    source = plan.source()
    print("\n".join(plan.lines()))
    board = Board(plan.directions, plan.total, plan.settings.at_once)
    board.trials |= {trial.number: trial for trial in _begun(plan) if trial.is_over}
    conductor = Conductor(source, _player(context, task, config, plan), plan.devices(), plan.settings.at_once, board)
    try:
        conductor.conduct()
    finally:
        board.close()
        trials = _begun(plan)
        report = Report(plan.sweep, trials, plan.directions, plan.settings.sampler)
        report.write()
    print("\n".join(report.lines()))
    _leave(conductor.asked, trials, plan.total, plan.sweep)


def _begun(plan: Plan) -> list[Trial]:
    """Trials of earlier commands and other workers too."""
    return [of_record(kept, plan.sweep) for kept in read_trials(plan.sweep) if kept["number"] < plan.total]


def flags_of(config: DictConfig) -> list[str]:
    """What else a trial's command needs to find the same configs."""
    sources = config.hydra.runtime.config_sources
    folders = [source.path for source in sources if source.provider == "command-line"]
    searched = [each for each in config.hydra.overrides.hydra if key_of(each) == "hydra.searchpath"]
    return [*(word for folder in folders for word in ("--config-dir", folder)), *searched]


def directions(settings: Settings, metrics: Mapping[str, Metric]) -> dict[str, Better]:
    """Which way each score is better: as its metric says, or as the sweep does where nothing else can."""
    found: dict[str, Better] = {}
    for name, better in settings.better.items():
        if better not in ("lower", "higher"):
            raise Mistake(f"sweep.better.{name}={better}: lower or higher is expected")
        if name not in settings.scores:
            raise Mistake(f"sweep.better names {name}, which is none of sweep.scores=[{','.join(settings.scores)}]")
    for name in settings.scores:
        split, _, metric = name.partition("/")
        known = metrics.get(metric) if split in ("val", "test") else None
        said = settings.better.get(name)
        if known and said and said != known.better:
            raise Mistake(f"sweep.better.{name}={said}: of this score {known.better} is better")
        if known is None and said is None:
            names = [f"{each}/{metric}" for each in ("val", "test") for metric in metrics]
            if split in ("val", "test") or nearest(name, names):
                raise Mistake(f"sweep.scores: {name} is unknown{nearest(name, names)}; choices: {', '.join(names)}")
            raise Mistake(
                f"sweep.scores: whether {name} is better lower or higher is not known; say it: '+sweep.better={{{name}:lower}}'"
            )
        found[name] = known.better if known else settings.better[name]
    return found


def _unsaid(overrides: Sequence[str], given: Sequence[str]) -> list[str]:
    """Those that the command line says nothing else of; one budget replaces another."""
    keys = {key_of(each) for each in given}
    keys |= BUDGETS if keys & BUDGETS else set()
    return [each for each in overrides if key_of(each) not in keys]


def _seeds(number: int, axis: Axis | None, config: DictConfig) -> list[int | None]:
    if axis is not None:
        if number > 1:
            raise Mistake(
                f"seed={axis.written} and seeds={number} both say which seeds are played; leave one of them out"
            )
        if bad := [value for value in axis.values if not value.isdigit()] or ([] if axis.values else [axis.written]):
            raise Mistake(f"seed={bad[0]}: whole numbers are expected, such as seed=0,1,2, or seeds=3")
        return [int(value) for value in axis.values]
    return [None] if number == 1 else [int(config.seed) + index for index in range(number)]


def _player(context: Any, task: Any, config: DictConfig, plan: Plan) -> Player:
    if config.hydra.launcher._target_ == BASIC:
        return Processes(plan.flags)
    from hydra.core.plugins import Plugins

    return Launched(Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config))


def _leave(asked: int, trials: Sequence[Trial], total: int, sweep: Path) -> None:
    """With the code of who asked, or with a sentence about what went wrong."""
    if asked:
        over = sum(trial.is_over for trial in trials)
        print(f"{total - over} of {total} trials are not over; to go on, repeat the command with output_dir={sweep}")
        raise SystemExit(asked)
    told = [f"#{trial.number} {trial.name()}: {trial.state}, {trial.reason}" for trial in trials if trial.state in BAD]
    if told:
        failed = sum(trial.state == "failed" for trial in trials)
        what = (
            f"{failed} of {total} trials failed"
            if failed
            else f"{len(told)} of {total} trials are not over; repeat the command"
        )
        raise Mistake("\n".join([what, *told]))
    if elsewhere := sum(trial.state == "playing" for trial in trials):
        print(f"{elsewhere} trials are still being played by other processes; repeat the command when they are done")
