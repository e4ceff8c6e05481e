"""`stylegan-lab train`: compose a config, check it, make a run's folder, train, and score what came out."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import stylegan_lab.resolvers  # noqa: F401  so that configs can be resolved
from stylegan_lab.cli.arguments import flags_and_overrides, sweep_or_not
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.resuming import as_it_was, check_rollback, overrides_to_resume, starting_point
from stylegan_lab.cli.wording import in_our_words
from stylegan_lab.conf_dir import CONF
from stylegan_lab.mistake import Mistake

RUN = "STYLEGAN_LAB_RUN"  # tells the other processes of a training its folder
PARTS = (
    "loss",
    "translator",
    "decoder",
    "coder",
    "critic",
    "generator",
    "adversary",
    "latents",
)  # a model may take them


def main(arguments: list[str]) -> int:
    whole = sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us as they are, to be told in our words

    failures: list[str] = []  # of jobs that another sweeper than ours plays here
    mistakes: list[Mistake] = []  # kept from Hydra, which would tell of them first, in its words

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
    def job(config: DictConfig) -> int | None:
        sys.argv = whole  # Lightning starts further processes with the command it finds here
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            try:
                train(config, flags)
            except Mistake as mistake:
                mistakes.append(mistake)
            except OmegaConfBaseException as error:
                mistakes.append(in_our_words(error, overrides))
            return None
        code, why = play_job()
        failures.extend([why] if code else [])
        return code

    flags, overrides = sweep_or_not(*flags_and_overrides(arguments))
    overrides = overrides_to_resume(overrides, "-m" in flags)
    sys.argv = [Path(whole[0]).name, *flags, *overrides]
    try:
        job()
    except (HydraException, OmegaConfBaseException) as error:
        raise in_our_words(error, overrides) from error
    finally:
        sys.argv = whole
    if mistakes:
        raise mistakes[0]
    if failures:
        raise Mistake("\n".join(failures))
    return 0


def play_job() -> tuple[int, str]:
    """What a launcher's job does: the trial in a process of its own, since a training may start more, with its own command."""
    from stylegan_lab.sweeps.playing import play_apart, reason
    from stylegan_lab.sweeps.sweep import flags_of
    from stylegan_lab.sweeps.trial import TRIALS

    folder = Path(HydraConfig.get().runtime.output_dir)
    log = folder.parent / TRIALS / f"{folder.name}.txt"
    overrides = [
        override for override in HydraConfig.get().overrides.task if override.split(".")[0].split("=")[0] != "sweep"
    ]
    code = play_apart(overrides, folder, flags_of(OmegaConf.create({"hydra": HydraConfig.get()})), log)
    return code, f"{folder}: {reason(log)}"


def train(config: DictConfig, flags: Sequence[str] = ()) -> None:
    """One training, from a composed config to a scored run. `flags` are those of the command that its processes need too."""
    quiet()
    from stylegan_lab.cli.spawning import is_spawned, spawn
    from stylegan_lab.experiment import build
    from stylegan_lab.hardware import is_first, number_of_ranks
    from stylegan_lab.runs import find_run

    overrides: list[str] = OmegaConf.to_container(HydraConfig.get().overrides, resolve=False)["task"]  # type: ignore[index, call-overload, assignment]
    choices = {str(group): str(choice) for group, choice in HydraConfig.get().runtime.choices.items()}
    one_budget(config, overrides)
    go_on_with_job(config, choices)
    if config.resume:
        as_it_was(config)
    experiment = build(config, choices)
    if config.dry_run:
        print(plan(experiment, choices))
        if config.resume:
            start = starting_point(find_run(config.resume)[0], config)
            print(f"resume     {start or 'at the beginning: there is no checkpoint'}")
        return
    with run_folder(config, choices) as run:
        if config.strategy.strategy == "ddp_spawn" and not is_spawned():
            searched = [each for each in HydraConfig.get().overrides.hydra if each.startswith("hydra.searchpath")]
            spawn([*flags, *searched, *overrides], number_of_ranks(config))
            return
        fit(run, experiment, choices, overrides)
        if config.evaluate and is_first():
            from stylegan_lab.cli.evaluate import evaluate

            evaluate(run, "last", "test", trust=config.trust)


def fit(run: Any, experiment: Any, choices: dict[str, str], overrides: list[str]) -> None:
    """Play what is left to play; after a divergence, from the last good checkpoint if that is what Finite says."""
    from stylegan_lab.callbacks.finite import Diverged, finite_of
    from stylegan_lab.experiment import build
    from stylegan_lab.hardware import is_first

    config = experiment.config
    start = starting_point(run, config) if config.resume else None
    rollbacks: Counter[Path] = Counter()
    while True:
        try:
            play(run, experiment, start, choices, overrides)
            return
        except Diverged as diverged:
            finite = finite_of(experiment.callbacks)
            start = check_rollback(run, diverged, finite, rollbacks.total())
            rollbacks[start] += 1
            experiment = build(config, choices)
            experiment.module.rate = finite.rate ** rollbacks[start]
            if is_first():
                run.tell(f"{diverged}: back to {start.name}, at {finite.rate:g} times the learning rate")


def play(run: Any, experiment: Any, start: Path | None, choices: dict[str, str], overrides: list[str]) -> None:
    from stylegan_lab.callbacks.interruption import listening
    from stylegan_lab.cli.together import together
    from stylegan_lab.cli.trouble import told
    from stylegan_lab.environment import describe_environment
    from stylegan_lab.experiment import build_trainer
    from stylegan_lab.instantiate import recorded
    from stylegan_lab.loggers.record import cut_record
    from stylegan_lab.manifest import Manifest

    config = recorded(experiment.config)
    played, owed = stands(start, experiment) if start else (0, False)
    if start and played >= experiment.iterations and not owed:
        print(f"run        {run.folder}")
        print(f"nothing is left to play: {start.name} is at iteration {played}; iterations=N gives it more")
        return
    begun = [] if start else experiment.module.begin()
    trainer = build_trainer(experiment, run)
    if trainer.is_global_zero:
        if start:
            Manifest.of(start.parent).make_last(start, played)
        cut_record(run.metrics, played, owed)
        run.describe(config, overrides, describe_environment(trainer.world_size), goes_on=bool(start))
        print(plan(experiment, choices))
        for logger in trainer.loggers:
            logger.log_hyperparams(config)
        print(f"run        {run.folder}")
        for sentence in begun:
            run.tell(sentence)
        whence = f" ({start.name})" if start else " (there is no checkpoint)" if config["resume"] else ""
        run.tell(f"{played} of {experiment.iterations} iterations are played{whence}")
    with told(experiment, run, trainer), together(trainer, run), listening(trainer):
        trainer.fit(experiment.module, datamodule=experiment.data, ckpt_path=start)
    if trainer.is_global_zero:
        run.tell(f"all {experiment.iterations} iterations are played")


def stands(start: Path, experiment: Any) -> tuple[int, bool]:
    """How many iterations are played there, and whether scores are owed."""
    from stylegan_lab.callbacks.scoring import owes_scores
    from stylegan_lab.checkpoint import read_checkpoint

    contents = read_checkpoint(start)
    return contents["iteration"], owes_scores(experiment.callbacks.values(), contents)


def go_on_with_job(config: DictConfig, choices: dict[str, str]) -> None:
    """A job of a cluster whose folder is there already goes on, as a single run with `output_dir` does."""
    folder = folder_of_job(config, choices)
    if folder is not None and (folder / "config.yaml").is_file():
        config.resume = str(folder)


def folder_of_job(config: DictConfig, choices: dict[str, str]) -> Path | None:
    """The folder that all processes have which srun or torchrun started. None: it is for this one to choose."""
    from stylegan_lab.hardware import agreed_folder

    if RUN in os.environ or config.resume or config.output_dir or config.dry_run:
        return None
    return agreed_folder(Path(config.runs_dir) / (config.name or choices.get("model", "run")))


def one_budget(config: DictConfig, overrides: list[str]) -> None:
    """A budget on the command line replaces an experiment's, in whatever unit."""
    from stylegan_lab.experiment import BUDGETS

    given = {override.split("=")[0].lstrip("+") for override in overrides} & set(BUDGETS)
    if given:
        for unit in set(BUDGETS) - given:
            config[unit] = None


@contextmanager
def run_folder(config: DictConfig, choices: dict[str, str]) -> Iterator[Any]:
    """The run's folder, made if need be; further processes of the training find it in the environment."""
    from stylegan_lab.hardware import is_first
    from stylegan_lab.runs import Run, find_run, new_run

    if RUN in os.environ:
        yield Run(Path(os.environ[RUN]))
        return
    if config.resume:
        run = find_run(config.resume)[0]
        run.make()
    elif (folder := folder_of_job(config, choices)) is not None:
        run = Run(folder)
        run.make()
    elif config.output_dir:
        run = Run(Path(config.output_dir))
        run.make()
    else:
        run = new_run(Path(config.runs_dir) / (config.name or choices["model"]))
    os.environ[RUN] = str(run.folder)
    try:
        with run.held() if is_first() else nullcontext():
            yield run
    except Mistake:
        run.remove_if_empty()
        raise
    finally:
        del os.environ[RUN]


def plan(experiment: Any, choices: dict[str, str]) -> str:
    """What is about to happen, in a few lines."""
    from stylegan_lab.experiment import parameter_counts
    from stylegan_lab.hardware import number_of_ranks, precision

    config, data = experiment.config, experiment.data
    ranks = number_of_ranks(config)
    batch = data.batch_size * ranks
    nets = ", ".join(f"{name} {count:,}" for name, count in parameter_counts(experiment.module).items())
    epochs = experiment.iterations / data.batches_per_epoch(ranks)
    parts = OmegaConf.to_yaml(config.model, resolve=False)
    named = ["model", *(group for group in PARTS if f"${{{group}}}" in parts), "data"]
    return "\n".join(
        [
            "choices    " + ", ".join(f"{group}={choices[group]}" for group in named),
            f"parameters {nets}",
            f"data       {data.samples:,} samples an epoch, {data.size} px, batch {batch}",
            *(f"           {note}" for note in data.notes),
            f"budget     {experiment.iterations:,} iterations = {experiment.iterations * batch:,} images = {epochs:.4g} epochs",
            *(f"           {note}" for note in _turns(experiment.module, experiment.iterations)),
            f"numbers    {precision(str(config.precision), str(config.strategy.accelerator))}, seed {config.seed}, "
            f"{ranks} x {config.strategy.accelerator}",
        ]
    )


def _turns(module: Any, iterations: int) -> list[str]:
    """Of a game in which generators wait for critics."""
    from stylegan_lab.modules.adversarial import AdversarialModule

    if not isinstance(module, AdversarialModule):
        return []
    turns = sum(map(module.generators_play, range(1, iterations + 1)))
    if turns == 0:
        first = next(filter(module.generators_play, count(1)))
        return [f"generators play in none of them: their first turn is iteration {first:,}"]
    return [f"generators play in {turns:,} of them"] if turns < iterations else []
