"""Run a sweep: make the plan, run the trials that are not complete yet, and write the report."""

import json
from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.runs.run import Run
from stylegan_lab.sweeps.live_table import LiveTable
from stylegan_lab.sweeps.samplers import GridSampler, OptunaStudy, TrialSource, load_optuna
from stylegan_lab.sweeps.scheduler import DevicePool, TrialScheduler, visible_gpus
from stylegan_lab.sweeps.sweep_page import sweep_page
from stylegan_lab.sweeps.sweep_plan import SweepPlan
from stylegan_lab.sweeps.sweep_report import SweepReport
from stylegan_lab.sweeps.trial import TRIALS, Trial, load_trials
from stylegan_lab.sweeps.trial_process import LauncherTrialRunner, LocalTrialRunner, TrialRunner
from stylegan_lab.training.hardware import world_size

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def run_sweep(arguments: Sequence[str], hydra_context: Any, task: Any, config: DictConfig) -> None:
    """Run the sweep that the overrides describe. The same command resumes the sweep: complete trials are not run again."""
    plan = SweepPlan(arguments, hydra_context, config)
    is_grid = plan.settings.sampler == "grid"
    if not is_grid:
        load_optuna()
    if plan.first_config.dry_run:
        print("\n".join(plan.lines()))
        return
    if (plan.folder / "config.yaml").is_file():
        raise UserError(
            "sweep.folder_is_run", f"{plan.folder} is the folder of a run; give the sweep a new one: output_dir=FOLDER"
        )
    Run(plan.folder).create()
    (plan.folder / TRIALS).mkdir(exist_ok=True)
    source: TrialSource = GridSampler(plan) if is_grid else OptunaStudy(plan)
    print("\n".join(plan.lines()))
    n_jobs = plan.settings.n_jobs
    table = LiveTable(plan.directions, plan.num_trials, n_jobs)
    table.trials |= {trial.number: trial for trial in _recorded_trials(plan) if trial.is_finished}
    runner: TrialRunner = LocalTrialRunner(plan.flags)
    if config.hydra.launcher._target_ != BASIC_LAUNCHER:
        plugins = Plugins.instance()
        runner = LauncherTrialRunner(
            plugins.instantiate_launcher(hydra_context=hydra_context, task_function=task, config=config)
        )
    scheduler = TrialScheduler(source, runner, _device_pool(plan), n_jobs, table)
    try:
        scheduler.run()
    finally:
        table.close()
        trials = _recorded_trials(plan)
        report = SweepReport(plan.folder, trials, plan.directions, plan.settings.sampler)
        write_text_atomic(plan.folder / "sweep.json", json.dumps(report.as_json(), indent=2) + "\n")
        write_text_atomic(plan.folder / "sweep.html", sweep_page(report))
    print("\n".join(report.lines()))
    _exit(scheduler.exit_code, trials, plan)


def _recorded_trials(plan: SweepPlan) -> list[Trial]:
    """Return the trials of this command, of earlier commands and of other workers."""
    return [trial for trial in load_trials(plan.folder) if trial.number < plan.num_trials]


def _device_pool(plan: SweepPlan) -> DevicePool:
    devices, accelerator = plan.first_config.strategy.devices, str(plan.first_config.strategy.accelerator)
    gpus = [] if accelerator == "cpu" else visible_gpus()
    is_explicit = (isinstance(devices, int) and devices > 0) or OmegaConf.is_list(devices)
    return DevicePool(gpus, plan.settings.n_jobs, world_size(plan.first_config) if is_explicit else None)


def _exit(code: int, trials: Sequence[Trial], plan: SweepPlan) -> None:
    """Exit with the code of a received signal, or raise an error that lists the failed and stopped trials."""
    if code:
        unfinished = f"{plan.num_trials - sum(trial.is_finished for trial in trials)} of {plan.num_trials}"
        print(f"{unfinished} trials are not finished; to resume, run the same command with output_dir={plan.folder}")
        raise SystemExit(code)
    states = [trial.state for trial in trials]
    failed, stopped = (f"{states.count(state)} of {plan.num_trials} trials" for state in ("failed", "stopped"))
    listed = [trial for trial in trials if trial.state in ("failed", "stopped")]
    lines = "".join(f"\n#{trial.number} {trial.label()}: {trial.state}, {trial.reason}" for trial in listed)
    if "failed" in states:
        raise UserError("sweep.trials_failed", f"{failed} failed{lines}")
    if listed:
        raise UserError("sweep.trials_stopped", f"{stopped} were stopped; run the same command to resume them{lines}")
    if running := states.count("running"):
        print(f"{running} trials are still running in other processes; run the same command when they have exited")
