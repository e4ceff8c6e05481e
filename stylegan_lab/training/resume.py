"""Resumes a run with its recorded overrides, followed by the new ones. Only settings that do not change the experiment may
differ."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from stylegan_lab.callbacks.nan_guard import DivergedError, NaNGuard
from stylegan_lab.config.flatten import flatten_leaves
from stylegan_lab.config.instantiate import config_to_record
from stylegan_lab.config.paths import config_choices
from stylegan_lab.config.schema import BUDGETS
from stylegan_lab.distributed import broadcast_from_rank_zero, rank
from stylegan_lab.errors import UserError
from stylegan_lab.runs.checkpoint import verify_checkpoint
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.reader import (
    find_run,
    read_environment,
    read_overrides,
    read_text,
    recorded_config,
    recorded_state,
)
from stylegan_lab.runs.run import IMPORT_RECORD, Run
from stylegan_lab.training.data_record import check_data_unchanged
from stylegan_lab.training.experiment import Experiment
from stylegan_lab.training.hardware import is_rank_zero, world_size
from stylegan_lab.training.safe_overrides import override_key, overrides_of_run, parse_arguments

RESUME_MAY_CHANGE = (*BUDGETS, "time_limit", "logger", "callbacks", "trainer", "strategy", "resume", "evaluate", "output_dir",
                     "overwrite", "allow_changed_data", "runs_dir", "name", "dry_run", "trust", "experiment", "metrics", "vars",
                     "data.num_workers", "data.batch_size", "micro_batches", "compile", "channels_last", "tf32",
                     "optimizer.fused", "model.optimizer.fused")  # fmt: skip

USUAL_LR = 2e-4  # of Adam in GAN papers

CONFIG_DIR_FLAGS = ("-cd", "--config-dir", "-cp", "--config-path")

RESUME_MAY_NOT_CHANGE = ("callbacks.ema",)  # translation and evaluation use the EMA weights


def overrides_to_resume(arguments: list[str], sweep: bool) -> list[str]:
    """Return the recorded overrides of the run that `resume=` or `output_dir=` names, followed by `arguments`."""
    given = {override_key(each): each.value() for each in parse_arguments(arguments) if not each.is_delete()}
    output, resume = (None if given.get(key) is None else str(given[key]) for key in ("output_dir", "resume"))
    if "resume" not in given and output is not None and given.get("overwrite") is not True:
        resume = "auto"
    if resume is None or (sweep and "resume" not in given):
        return arguments  # the trials of a sweep resume by themselves
    if given.get("overwrite") is True:
        raise UserError(
            "resume.with_overwrite", "overwrite=true starts a new run, and resume= continues one; leave one of them out"
        )
    if resume == "":
        raise UserError("resume.empty", "resume= is empty; give a run's folder or a checkpoint, or leave it out")
    if sweep:
        raise UserError("resume.in_sweep", "resume= continues one run, and -m starts several; leave one of them out")
    if resume == "auto":
        if output is None:
            raise UserError("resume.no_folder", "resume=auto needs output_dir=FOLDER, the folder of the run to resume")
        if not (Path(output) / "config.yaml").is_file():
            if Run(Path(output)).newest() is not None:
                read_text(Run(output), "config.yaml")
            return _without(arguments, "resume")
        resume = output
    elif output is not None and Path(output).resolve() != find_run(resume)[0].folder:
        raise UserError(
            "resume.other_folder", f"resume={resume} continues in that run's folder; leave out output_dir={output}"
        )
    run, checkpoint = find_run(resume)
    if (run.folder / IMPORT_RECORD).exists():
        raise UserError(
            "resume.imported_model",
            f"{run.folder} is an imported generator, not a training to resume; start one from it with model=perceptual "
            f"model.init_from={run.folder}",
        )
    source = run.folder if checkpoint == "last" else run.checkpoint(checkpoint)
    replaced = {override_key(each) for each in parse_arguments(arguments)}
    if replaced & set(BUDGETS):
        replaced |= set(BUDGETS)
    recorded = {
        override_key(each): each.value() for each in parse_arguments(read_overrides(run)) if not each.is_delete()
    }
    changed = [key for key in replaced if config_choices(key) and given.get(key) != recorded.get(key)]
    of_other_choices = tuple(f"{key}." for key in changed)  # they would be other settings now
    kept = [
        str(each.input_line)
        for each in overrides_of_run(run, replaced)
        if not override_key(each).startswith(of_other_choices)
    ]
    return [*kept, *_without(arguments, "resume", "output_dir"), f"resume={_quoted(str(source))}"]


def _without(arguments: Sequence[str], *keys: str) -> list[str]:
    """Return the arguments without the overrides of these keys."""
    return [each for each in arguments if not {override_key(parsed) for parsed in parse_arguments([each])} & set(keys)]


def _quoted(path: str) -> str:
    """Quote a path for use as the value of an override."""
    return path if re.fullmatch(r"[\w./-]+", path) else "'" + path.replace("'", "\\'") + "'"


def add_search_path(message: UserError, error: Exception, arguments: Sequence[str]) -> UserError:
    """Return the message. If a config is missing, add the search path with which the resumed run was started."""
    resumed = next((each.value() for each in parse_arguments(arguments) if override_key(each) == "resume"), None)
    if resumed is None or not isinstance(error, MissingConfigException):
        return message
    with suppress(UserError, ValueError, KeyError):
        words = [str(word) for word in read_environment(find_run(str(resumed))[0])["command"]]
        given = [f"{flag} {value}" for flag, value in pairwise(words) if flag in CONFIG_DIR_FLAGS]
        given += [
            word for word in words if word.partition("=")[0] in ("hydra.searchpath", *CONFIG_DIR_FLAGS) and "=" in word
        ]
        if given:
            return UserError(message.code, f"{message}; the run was started with {' '.join(given)}: give it again")
    return message


def checkpoint_to_resume(run: Run, experiment: Experiment) -> Path | None:
    """Check that the experiment and its data are unchanged, and return the checkpoint that `resume=` means. None means that
    training starts at iteration 0."""
    config = experiment.config
    _, name = find_run(config.resume)
    check_config_unchanged(run, config_to_record(config))
    check_data_unchanged(run, experiment.data, config.allow_changed_data)
    return newest_intact_checkpoint(run) if name == "last" else verify_checkpoint(run.checkpoint(name))


def newest_intact_checkpoint(run: Run) -> Path | None:
    """Return the newest checkpoint that is not damaged, or None if no checkpoint was written. Damaged checkpoints are logged."""
    index = CheckpointIndex.read(run.checkpoints)
    damaged: list[str] = []
    for path in index.newest_first():
        if index.is_intact(path):
            if damaged and is_rank_zero():
                run.log(f"{', '.join(damaged)} damaged; resuming from {path.name}")
            return path
        damaged.append(path.name)
    if damaged:
        raise UserError(
            "checkpoint.all_damaged",
            f"{run.checkpoints}: every checkpoint is damaged ({', '.join(damaged)}). Start a new run in another "
            "folder, or delete the folder of this run",
        )
    return None


def check_rollback(run: Run, diverged: DivergedError, nan_guard: NaNGuard, rollbacks: int, lr: float | None) -> Path:
    """Return the checkpoint to roll back to after a divergence, or raise an error if the training has to stop."""
    start = _newest_intact_for_all_ranks(run)
    lower = "optimizer.lr" if lr is None else f"optimizer.lr, such as {min(lr / 10, USUAL_LR):g} instead of {lr:g}"
    diagnosis, advice = str(diverged), f"a new run in another folder with a lower {lower}, or model.clip_gradients=1"
    if nan_guard.on_nan == "rollback":
        if start is not None and rollbacks < nan_guard.max_rollbacks:
            return start
        diagnosis, advice = f"{diverged}, after {rollbacks} rollbacks", f"Start {advice}"
    elif _diverged_before(run):
        diagnosis, advice = f"{diverged}, as before", f"Resuming repeats it: start {advice}"
    else:
        command = f"stylegan-lab train resume={run.folder} callbacks.nan_guard.on_nan=rollback"
        advice = f"To roll back and continue with a lower learning rate: {command}; or start {advice}"
    kept = f"{start.name} is intact" if start else "no checkpoint was saved before"
    raise UserError("training.diverged", f"stopped: {diagnosis}; {kept}. {advice}")


def _diverged_before(run: Run) -> bool:
    """Return whether an earlier session ended with a divergence too. Resuming would then only repeat the divergence."""
    state = recorded_state(run.folder)
    return state is not None and sum(session.diverged for session in state.sessions) > 1


def _newest_intact_for_all_ranks(run: Run) -> Path | None:
    """Return the newest intact checkpoint. The first rank searches for it, but every rank must call this function."""
    found: Path | UserError | None = None
    if rank() == 0:
        try:
            found = newest_intact_checkpoint(run)
        except UserError as error:
            found = error  # which every rank has to raise
    found = broadcast_from_rank_zero((found,))[0]
    if isinstance(found, UserError):
        raise found
    return found


def check_config_unchanged(run: Run, config: dict[str, Any]) -> None:
    """Refuse to resume with changed settings that would make the run another experiment. The error lists these settings."""
    before = recorded_config(run)
    _check_batch(run, before, config)
    if changed := settings_that_differ(before, config, RESUME_MAY_CHANGE):
        raise UserError(
            "resume.settings_changed",
            f"resume={run.folder} cannot change {', '.join(changed[:5])}{' and more' if len(changed) > 5 else ''}; start a new "
            "run for another experiment. Only the budget, logging, devices, data.num_workers, callbacks except callbacks.ema, and "
            "the options of docs/performance.md may change",
        )


def settings_that_differ(recorded: dict[str, Any], config: dict[str, Any], may_differ: Iterable[str]) -> list[str]:
    """Return the settings that make `config` a different experiment from the run that recorded its config, each with the new
    and the old value."""
    before, now = flatten_leaves(recorded), flatten_leaves(config)
    changed = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    keys = [key for key in changed if not _is_below(key, may_differ) or _is_below(key, RESUME_MAY_NOT_CHANGE)]
    without_copies = [key for key in keys if key.removeprefix("model.") not in keys or not key.startswith("model.")]
    return [f"{key}={now.get(key)} (was {before.get(key)})" for key in without_copies]


def _check_batch(run: Run, before: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse a changed global batch size, because the position in the data is counted in global batches."""
    ranks = read_environment(run)["world_size"]
    old = ranks, before["data"].get("batch_size", 1)
    new = world_size(OmegaConf.create({"strategy": config["strategy"]})), config["data"].get("batch_size", 1)
    if prod(old) != prod(new):
        raise UserError(
            "resume.batch_changed",
            f"resume={run.folder} cannot change the batch: it was {old[0]} x {old[1]} samples (devices x data.batch_size) and "
            f"would be {new[0]} x {new[1]}; choose two numbers whose product is {prod(old)}",
        )


def _is_below(key: str, parents: Iterable[str]) -> bool:
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)
