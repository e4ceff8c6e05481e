"""`stylegan-lab reproduce`: train a baseline, score it by its protocol, and report the difference from the paper."""

import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from stylegan_lab.config.hydra_errors import to_user_error
from stylegan_lab.config.instantiate import config_to_record
from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.classifier_metrics import DIRECTIONS
from stylegan_lab.reporting.baselines.baseline import (
    IRRELEVANT_SETTINGS,
    MACHINE_SETTINGS,
    Baseline,
    compose_baseline,
    read_baselines,
)
from stylegan_lab.reporting.baselines.result import BaselineResult, BaselineResults, metric_values
from stylegan_lab.reporting.baselines.status import BaselineStatus, baseline_status, baselines_as_text, why_not_run
from stylegan_lab.runs.reader import check_finished, find_run, read_environment, recorded_config
from stylegan_lab.runs.run import Run
from stylegan_lab.signals import SIGNAL_EXIT_CODES, TIME_LIMIT_EXIT_CODE, forward_signals
from stylegan_lab.sweeps.trial_process import train_command
from stylegan_lab.training.experiment import build_data, build_metrics
from stylegan_lab.training.hardware import world_size
from stylegan_lab.training.resume import settings_that_differ

INTERRUPTED = {*SIGNAL_EXIT_CODES, TIME_LIMIT_EXIT_CODE}


def main(options: Namespace) -> int:
    given = [each for each in options.names if "=" in each]
    names = [each for each in options.names if "=" not in each]
    results, baselines = BaselineResults(options.results), read_baselines(names)
    if not names:
        if options.run or given:
            raise UserError(
                "baseline.name_missing",
                "--run and settings need the name of a baseline; `stylegan-lab reproduce` lists all baselines",
            )
        print(baselines_as_text([recorded_status(each, results) for each in baselines]))
        return 0
    if changed := [each for each in given if each.split("=")[0] not in MACHINE_SETTINGS]:
        allowed = ", ".join(MACHINE_SETTINGS)
        raise UserError(
            "baseline.setting_not_allowed",
            f"{changed[0]} cannot be changed, because it may change the scores; these settings can be given: {allowed}",
        )
    if options.run:
        if len(baselines) > 1:
            raise UserError(
                "baseline.several_names",
                f"--run can record a run for one baseline only; give only one of {', '.join(names)}",
            )
        record_run(baselines[0], find_run(options.run)[0], results)
        statuses = [recorded_status(baselines[0], results)]
    else:
        statuses = [train_and_record(each, given, options.runs, results) for each in baselines]
    print(baselines_as_text(statuses))
    return 0 if all(each.status == "reproduced" for each in statuses) else 1


def train_and_record(baseline: Baseline, given: Sequence[str], runs: Path, results: BaselineResults) -> BaselineStatus:
    """Train and score every seed that has no recorded result yet, unless the baseline cannot be trained on this machine.

    `given` are settings of the machine, such as the folder of the data.
    """
    print(baseline.describe(), flush=True)
    missing = [seed for seed in baseline.seeds if results.find(baseline, seed) is None]
    if missing and (why := why_not_trainable(baseline, given)):
        print(f"  not run    {why}")
        return baseline_status(baseline, results.for_baseline(baseline), why)
    if missing:
        config = compose_with_overrides(baseline, missing[0], given)
        check_batch(baseline, world_size(config), config.data.get("batch_size", 1))
    for seed in missing:
        run = Run((runs / baseline.name / f"seed{seed}-{baseline.fingerprint[:6]}").absolute())
        is_new, before = not run.metrics.exists(), time.monotonic()
        train(baseline, seed, run, given)
        record_result(baseline, seed, run, results, time.monotonic() - before if is_new else None)
    return recorded_status(baseline, results)


def train(baseline: Baseline, seed: int, run: Run, given: Sequence[str]) -> None:
    """Train in a separate process. If the training is interrupted, this command ends with the training's exit code."""
    overrides = [*baseline.training_overrides(seed), "evaluate=false", "logger=none", *given]
    with forward_signals() as forwarder:
        process = subprocess.Popen(train_command(overrides, run.folder))
        forwarder.add(process.pid)
        try:
            code = process.wait()
        except KeyboardInterrupt:  # which the training received too
            process.wait()
            raise
    if code:
        why = f"{baseline.name}, seed {seed}: the training exited with code {code}; repeat the command to resume"
        if code not in INTERRUPTED:
            raise UserError("baseline.training_failed", why)
        print(f"stylegan-lab: {why}", file=sys.stderr)
        raise SystemExit(code)  # so that a queue knows to run the command again


def record_result(
    baseline: Baseline, seed: int, run: Run, results: BaselineResults, seconds: float | None = None
) -> None:
    from stylegan_lab.training.evaluate import evaluate_checkpoint

    check_one_budget(baseline, run)
    config = compose_with_overrides(baseline, seed)
    use_ema, count = not baseline.raw, baseline.num_images if is_generation_config(config) else None
    evaluation = evaluate_checkpoint(
        run, baseline.checkpoint, baseline.split, use_ema, count=count, metrics_config=config.metrics
    )
    print(evaluation)
    scores = evaluation.document
    if baseline.num_images not in (None, scores["n"]):
        counts = f"its protocol requires {baseline.num_images} images, but {scores['n']} were evaluated"
        raise UserError("baseline.image_count_differs", f"{baseline.name}: {counts}; use the data set of the baseline")
    if missing := [name for name in baseline.metrics if name not in metric_values(scores)]:
        raise UserError(
            "baseline.metric_not_computed",
            f"{', '.join(missing)} cannot be computed for {baseline.name}; check that data= is the data set of this baseline",
        )
    print(f"recorded   {results.record(BaselineResult.from_run(baseline, seed, run, scores, seconds))}", flush=True)


def record_run(baseline: Baseline, run: Run, results: BaselineResults) -> None:
    """Score and record a run that was trained by hand. The run must have the settings of the baseline and must be finished."""
    if baseline.unsupported:
        raise UserError("baseline.unsupported", f"{baseline.name} cannot be evaluated yet: {baseline.unsupported}")
    recorded = recorded_config(run)
    seed = recorded["seed"]
    if seed not in baseline.seeds:
        raise UserError(
            "baseline.other_seed",
            f"{run.folder} has seed={seed}; give a run with a seed of {baseline.name}: {', '.join(map(str, baseline.seeds))}",
        )
    if differ := settings_that_differ(
        recorded, config_to_record(compose_with_overrides(baseline, seed)), IRRELEVANT_SETTINGS
    ):
        listed = ", ".join(differ[:5]) + (" and more" if len(differ) > 5 else "")
        raise UserError(
            "baseline.other_experiment",
            f"{run.folder} is not a run of {baseline.name}, because these settings differ: {listed}. Train with "
            f"stylegan-lab reproduce {baseline.name}",
        )
    ranks = read_environment(run)["world_size"]
    check_batch(baseline, ranks, recorded["data"].get("batch_size", 1))
    record_result(baseline, seed, run, results)


def check_one_budget(baseline: Baseline, run: Run) -> None:
    """Refuse a run that is not finished, or whose budget (number of iterations) changed between its sessions: its learning rates
    depend on the budget."""
    state = check_finished(run)
    if other := [str(each.budget) for each in state.sessions if each.budget != state.budget]:
        raise UserError(
            "baseline.budget_changed",
            f"{run.folder} was trained in part with another budget ({', '.join(dict.fromkeys(other))} iterations instead of "
            f"{state.budget}), and learning rates depend on the budget; train {baseline.name} again with one budget",
        )


def recorded_status(baseline: Baseline, results: BaselineResults) -> BaselineStatus:
    return baseline_status(
        baseline, results.for_baseline(baseline), why_not_run(baseline, results.why_outdated(baseline))
    )


def check_batch(baseline: Baseline, ranks: int, each: int) -> None:
    """Refuse a global batch size (devices x data.batch_size) that differs from the baseline's."""
    config = compose_with_overrides(baseline, baseline.seeds[0])
    asked = world_size(config) * config.data.get("batch_size", 1)
    if ranks * each != asked:
        size = f"set data.batch_size={asked // ranks}"
        fitting = f"choose a number of devices that divides {asked}" if asked % ranks else size
        raise UserError(
            "baseline.other_batch_size",
            f"the global batch is {ranks} x {each} samples (devices x data.batch_size), but {baseline.name} trains "
            f"with {asked}; {fitting}",
        )


def why_not_trainable(baseline: Baseline, given: Sequence[str]) -> str:
    """Return why the baseline cannot be trained on this machine, or an empty text if it can."""
    if not baseline.metrics:
        return "the paper reports no score"
    if baseline.unsupported:
        return baseline.unsupported
    if "gpu_hours" in baseline.cost and not torch.cuda.is_available():
        return f"it takes {baseline.cost_text}, and no GPU is visible here"
    try:
        config = compose_with_overrides(baseline, baseline.seeds[0], given)
        measured = build_metrics(config)
        build_data(config)
    except UserError as mistake:
        return str(mistake).splitlines()[0]
    if baseline.split == "train" and not is_generation_config(config):
        return "split: train is for generators; give split: test"
    unknown = [name for name in baseline.metrics if name.split("/")[-1] not in {*measured, *DIRECTIONS}]
    return f"{', '.join(unknown)} cannot be measured here" if unknown else ""


def is_generation_config(config: DictConfig) -> bool:
    return "latents" in config.model


def compose_with_overrides(baseline: Baseline, seed: int, given: Sequence[str] = ()) -> DictConfig:
    try:
        return compose_baseline(baseline, seed, given)
    except (HydraException, OmegaConfBaseException) as error:
        raise to_user_error(error, [*baseline.training_overrides(seed), *given]) from error
