"""Trains and evaluates a run that a composed config describes."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path

import lightning as L
from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from stylegan_lab.callbacks.ema import find_callback
from stylegan_lab.callbacks.nan_guard import DivergedError, NaNGuard
from stylegan_lab.callbacks.preemption import exit_on_signal
from stylegan_lab.callbacks.session_recorder import SessionRecorder, record_end, record_failed_evaluation
from stylegan_lab.callbacks.validation import has_pending_validation
from stylegan_lab.config.instantiate import config_to_record
from stylegan_lab.config.schema import BUDGETS
from stylegan_lab.errors import UserError
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import BaseModel
from stylegan_lab.runs.checkpoint import load_checkpoint
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.environment import describe_environment
from stylegan_lab.runs.metrics_file import truncate_metrics
from stylegan_lab.runs.reader import find_run, read_environment, recorded_state
from stylegan_lab.runs.run import Run, new_run
from stylegan_lab.runs.state import NEW_RUN
from stylegan_lab.training.checkpoint_sections import check_sections
from stylegan_lab.training.data_record import record_data_files
from stylegan_lab.training.estimate import estimate_duration
from stylegan_lab.training.evaluate import evaluate_checkpoint
from stylegan_lab.training.experiment import (
    Experiment,
    LoadedCheckpoint,
    build_experiment,
    build_trainer,
    check_trainer,
)
from stylegan_lab.training.hardware import (
    CHECKPOINT_VARIABLE,
    SLOW_BF16,
    chosen_by_first_rank,
    has_launched_ranks,
    is_rank_zero,
    lightning_precision,
    shared_run_folder,
    supports_bf16,
    world_size,
)
from stylegan_lab.training.plain_module import replace_model_class
from stylegan_lab.training.rank_watchdog import spawn_ranks, watch_ranks
from stylegan_lab.training.resume import check_rollback, checkpoint_to_resume
from stylegan_lab.training.speed import training_hardware, training_threads
from stylegan_lab.training.training_errors import report_training_errors

RUN_FOLDER_VARIABLE = "STYLEGAN_LAB_RUN"  # the run's folder, for the other processes of a training
MODEL_PARTS = ("loss", "generator", "style_encoder", "discriminator", "latents")  # groups that a model may use


def train(config: DictConfig, hydra: HydraConf, flags: Sequence[str] = (), start_ranks: bool = False) -> Run | None:
    """Train one run and return it, or return None after a dry run.

    Args:
        hydra: Hydra's own part of the composed config, which contains the overrides and the choices of the config
            groups.
        flags: The flags of the command line that further processes of the training need too.
        start_ranks: Start the ranks of every strategy with the `stylegan-lab` command, as for ddp_spawn. Otherwise
            Lightning would start the calling script again.
    """
    # Unresolved, because they are recorded: an interpolation may name a secret of the environment.
    overrides: list[str] = OmegaConf.to_container(hydra.overrides.task, resolve=False)  # type: ignore[assignment]
    choices = {str(group): str(choice) for group, choice in hydra.runtime.choices.items()}
    if given := {override.split("=")[0].lstrip("+") for override in overrides} & set(BUDGETS):
        # A budget on the command line replaces the experiment's, whatever their units.
        config.update(dict.fromkeys(set(BUDGETS) - given))
    if (folder := cluster_job_folder(config, choices)) is not None and (folder / "config.yaml").is_file():
        config.resume = str(folder)  # the restarted job resumes, as a single run with `output_dir` does
    choices |= replace_model_class(config, choices)
    experiment = build_experiment(config, choices)
    if config.dry_run:
        if config.output_dir and not config.resume:
            check_no_run(Run(Path(config.output_dir)), config.overwrite)
        check_trainer(experiment)
        print(plan(experiment, choices))
        if config.resume:
            start = checkpoint_to_resume(find_run(config.resume)[0], experiment)
            print(f"resume     {start or 'at the beginning: there is no checkpoint'}")
        if config.dry_run == "time":
            print(estimate_duration(experiment))
        return None
    with run_folder(config, choices) as run:
        start = chosen_by_first_rank(lambda: checkpoint_to_resume(run, experiment)) if config.resume else None
        strategy = str(config.strategy.strategy)
        start_ranks = start_ranks and (world_size(config) > 1 or strategy.startswith("ddp"))
        if (start_ranks or strategy == "ddp_spawn") and not has_launched_ranks():
            search_path = [each for each in hydra.overrides.hydra if each.startswith("hydra.searchpath")]
            spawn_ranks([*flags, *search_path, *overrides], world_size(config))
            return run
        fit(run, experiment, start, choices, overrides)
        if config.evaluate and is_rank_zero():
            with record_failed_evaluation(run):
                print(evaluate_checkpoint(run, "last", "test", trust=config.trust))
            if (state := recorded_state(run.folder)) and state.iteration >= state.budget:
                record_as_finished(run, state.budget)
        return run


def fit(run: Run, experiment: Experiment, start: Path | None, choices: Mapping[str, str], overrides: list[str]) -> None:
    """Train the remaining iterations. If the training diverges and NaNGuard is set to roll back, resume from the last
    intact checkpoint."""
    config = experiment.config
    rollbacks: Counter[Path] = Counter()
    while True:
        try:
            run_training(run, experiment, start, choices, overrides)
            return
        except DivergedError as diverged:
            nan_guard = next(each for each in experiment.callbacks.values() if isinstance(each, NaNGuard))
            start = check_rollback(
                run, diverged, nan_guard, rollbacks.total(), OmegaConf.select(config, "optimizer.lr")
            )
            rollbacks[start] += 1
            experiment = build_experiment(config, choices)
            assert isinstance(experiment.module, BaseModel)  # others are not rolled back
            experiment.module.lr_scale = nan_guard.lr_mult ** rollbacks[start]
            if is_rank_zero():
                run.log(f"{diverged}: back to {start.name}, at {nan_guard.lr_mult:g} times the learning rate")


def run_training(
    run: Run, experiment: Experiment, start: Path | None, choices: Mapping[str, str], overrides: list[str]
) -> None:
    config = config_to_record(experiment.config)
    loaded = LoadedCheckpoint(start, load_checkpoint(start)) if start else None
    iteration: int = loaded.contents["iteration"] if loaded else 0
    scores_pending = loaded is not None and has_pending_validation(experiment.callbacks.values(), loaded.contents)
    if start and iteration >= experiment.iterations and not scores_pending:
        print(f"run        {run.folder}")
        left = f"{start.name} is at iteration {iteration}; give a larger iterations=N to continue"
        print(f"nothing is left to train: {left}")
        if is_rank_zero() and iteration == experiment.iterations:
            record_as_finished(run, iteration)
        return
    if start and loaded:
        check_sections(start, loaded.contents, experiment)
    messages = [] if start else experiment.on_new_training()
    trainer = build_trainer(experiment, run, loaded)
    del loaded  # so that its memory is free once Lightning has restored it
    if trainer.is_global_zero:
        if start:
            CheckpointIndex.read(start.parent).set_newest(start, iteration)
        truncate_metrics(run.metrics, iteration, scores_pending)
        earlier_commits = read_environment(run)["commits"] if start else []
        if recorder := find_callback(trainer, SessionRecorder):
            recorder.start(trainer, iteration, experiment.iterations)
        run.record_config(config, overrides, describe_environment(trainer.world_size), earlier_commits)
        record_data_files(run, experiment.data)
        print(plan(experiment, choices))
        for logger in trainer.loggers:
            logger.log_hyperparams(config)
        print(f"run        {run.folder}")
        for message in messages:
            run.log(message)
        source = f" ({start.name})" if start else " (there is no checkpoint)" if config["resume"] else ""
        run.log(f"{iteration} of {experiment.iterations} iterations are done{source}")
    with (
        record_end(trainer, is_evaluated_next=bool(config["evaluate"])),
        report_training_errors(experiment, run, trainer),
        watch_ranks(trainer, run),
        training_hardware(experiment.config),
        training_threads(experiment.config, experiment.data),
        exit_on_signal(trainer),
    ):
        trainer.fit(experiment.module, datamodule=experiment.data, ckpt_path=start)
    if trainer.is_global_zero:
        done, budget = int(experiment.module.iteration), experiment.iterations  # type: ignore[arg-type]
        resume = f"to resume: stylegan-lab train resume={run.folder}"
        stopped = f"a callback stopped the training at iteration {done} of {budget}; {resume}"
        run.log(f"all {budget} iterations are done" if done >= budget else stopped)


def record_as_finished(run: Run, iteration: int) -> None:
    """Mark the run as finished at `iteration` in run.json. This is needed if the process was killed after it had saved its
    last checkpoint, or if the new budget is at most the number of trained iterations."""
    state = recorded_state(run.folder) or NEW_RUN
    if not state.is_finished:
        replace(state, status="finished", budget=iteration, iteration=iteration).write(run.folder)


def cluster_job_folder(config: DictConfig, choices: Mapping[str, str]) -> Path | None:
    """Return the run folder shared by the processes that srun or torchrun started, or None if this process chooses its own
    run folder."""
    if RUN_FOLDER_VARIABLE in os.environ or config.resume or config.output_dir or config.dry_run:
        return None
    return shared_run_folder(Path(config.runs_dir) / (config.name or choices.get("model", "run")))


@contextmanager
def run_folder(config: DictConfig, choices: Mapping[str, str]) -> Iterator[Run]:
    """Yield the run, whose folder is created if necessary. The other processes of the training read the folder from an
    environment variable."""
    if RUN_FOLDER_VARIABLE in os.environ:
        yield Run(Path(os.environ[RUN_FOLDER_VARIABLE]))
        return
    if config.resume:
        run = find_run(config.resume)[0]
    elif (folder := cluster_job_folder(config, choices)) is not None:
        run = Run(folder)
    elif config.output_dir:
        run = Run(Path(config.output_dir))
        if is_rank_zero():
            check_no_run(run, config.overwrite)
            if config.overwrite:
                run.move_aside()
    else:
        run = new_run(Path(config.runs_dir) / (config.name or choices["model"]))
    run.create()
    os.environ[RUN_FOLDER_VARIABLE] = str(run.folder)
    try:
        with run.lock() if is_rank_zero() else nullcontext():
            yield run
    except UserError:
        run.remove_if_empty()
        raise
    finally:
        del os.environ[RUN_FOLDER_VARIABLE]
        os.environ.pop(CHECKPOINT_VARIABLE, None)


def check_no_run(run: Run, overwrite: bool) -> None:
    """Refuse to start a new run in the folder of another run."""
    if run.exists and not overwrite:
        raise UserError(
            "run.already_exists",
            f"output_dir={run.folder} holds a run, which a new one would replace; continue it with resume={run.folder}, start "
            "anew with overwrite=true (the old run is moved aside), or give another output_dir",
        )


def plan(experiment: Experiment, choices: Mapping[str, str]) -> str:
    """Describe the training in a few lines: config choices, number of parameters, data, budget and precision."""
    config, data = experiment.config, experiment.data
    ranks = world_size(config)
    batch = data.batch_size * ranks
    sizes = {name: sum(map(Tensor.numel, net.parameters())) for name, net in experiment.module.named_children()}
    epochs = experiment.iterations / data.batches_per_epoch(ranks)
    model_text = OmegaConf.to_yaml(config.model, resolve=False)
    groups = ["model", *(group for group in MODEL_PARTS if f"${{{group}}}" in model_text), "data"]
    accelerator = str(config.strategy.accelerator)
    precision = lightning_precision(str(config.precision), accelerator)
    is_slow = precision == "bf16-mixed" and not supports_bf16(accelerator)
    return "\n".join(
        [
            "choices    " + ", ".join(f"{group}={choices[group]}" for group in groups),
            "parameters " + ", ".join(f"{name} {size:,}" for name, size in sizes.items() if size),
            f"data       {data.num_samples:,} samples an epoch, {data.size} px, batch {batch}",
            *(f"           {note}" for note in data.plan_notes),
            f"budget     {experiment.iterations:,} iterations = {experiment.iterations * batch:,} images = {epochs:.4g} epochs",
            *(f"           {note}" for note in _generator_steps(experiment.module, experiment.iterations)),
            *(f"note       {note}" for note in experiment.notes),
            f"numbers    {precision}, seed {config.seed}, {ranks} x {accelerator}",
            *([f"           {SLOW_BF16}"] if is_slow else []),
        ]
    )


def _generator_steps(module: L.LightningModule, iterations: int) -> list[str]:
    """Return a line with the number of generator steps, for models that do not update the generator in every iteration."""
    if not isinstance(module, AdversarialModel):
        return []
    steps = sum(map(module.is_generator_step, range(1, iterations + 1)))
    if steps == 0:
        first = next(filter(module.is_generator_step, count(1)))
        return [f"generators are updated in none of them: their first step is iteration {first:,}"]
    return [f"generators are updated in {steps:,} of them"] if steps < iterations else []
