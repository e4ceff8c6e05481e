"""The job of a Hydra launcher. It runs one trial in a separate process, because a training may start further processes."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from stylegan_lab.runs.reader import read_state
from stylegan_lab.sweeps.sweep_plan import config_flags
from stylegan_lab.sweeps.trial import TRIALS
from stylegan_lab.sweeps.trial_process import failure_reason, run_in_subprocess

OUR_SWEEPER = "hydra_plugins.stylegan_lab_sweeper.StyleganLabSweeper"


def run_launcher_job() -> tuple[float | None, str]:
    """Run the job. Return its result, and the reason if it failed.

    For Hydra's own sweepers, the result is the best value of `callbacks.checkpointing.monitor`, or None if there is none.
    For the sweeper of this package, which reads scores from the run's folder, the result is the exit code.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    log = folder.parent / TRIALS / f"{folder.name}.txt"
    overrides = [override for override in hydra.overrides.task if override.split(".")[0].split("=")[0] != "sweep"]
    code = run_in_subprocess(overrides, folder, config_flags(OmegaConf.create({"hydra": hydra})), log)
    reason = f"{folder}: {failure_reason(log)}" if code else ""
    if hydra.sweeper._target_ == OUR_SWEEPER:
        return code, reason
    state = read_state(folder)
    return (state.best_score if state and not code else None), reason
