"""Lightning's callbacks and loggers are named in a config as they are, or refused with the setting that does their job."""

import csv
import json
from pathlib import Path

import lightning.pytorch.callbacks as lightning_callbacks
import pytest
from omegaconf import DictConfig

from stylegan_lab.cli.main import run
from stylegan_lab.runs.run import Run
from stylegan_lab.training.lightning_callbacks import check_callback_names
from tests.refusals import assert_refused, refused

SMOKE = (
    "train",
    "experiment=smoke",
    "evaluate=false",
    "logger=none",
    "callbacks.validation=null",
    "callbacks.samples=null",
)
CALLBACK = "+callbacks.mine._target_=lightning.pytorch.callbacks"
LOGGER = "+logger.mine._target_=lightning.pytorch.loggers"
REFUSED = {
    "ModelCheckpoint": "callbacks.checkpointing.every",
    "OnExceptionCheckpoint": "callbacks.checkpointing.every",
    "Checkpoint": "callbacks.checkpointing.every",
    "EarlyStopping": "callbacks.checkpointing.monitor",
    "StochasticWeightAveraging": "callbacks.ema",
    "WeightAveraging": "callbacks.ema",
    "EMAWeightAveraging": "callbacks.ema",
    "GradientAccumulationScheduler": "micro_batches",
    "BatchSizeFinder": "data.batch_size",
    "LearningRateFinder": "optimizer.lr",
    "BaseFinetuning": "freeze parameters",
    "BackboneFinetuning": "freeze parameters",
    "ModelPruning": "callbacks.ema",
    "SpikeDetection": "callbacks.nan_guard",
}
TRAINING = ["LearningRateMonitor", "LambdaCallback", "ModelSummary", "RichModelSummary", "Timer"]
PROGRESS_BARS = ["RichProgressBar", "TQDMProgressBar"]
# It needs psutil on a CPU; a function from trusted code; nothing that training calls.
OTHERS = ["DeviceStatsMonitor", "ThroughputMonitor", "BasePredictionWriter", "Callback", "ProgressBar"]


def rows() -> list[dict[str, float]]:
    return [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]


def test_every_callback_of_lightning_was_decided_on() -> None:
    assert sorted([*REFUSED, *TRAINING, *PROGRESS_BARS, *OTHERS]) == sorted(lightning_callbacks.__all__)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_callback_that_cannot_work_is_refused_with_the_setting_to_use(name: str) -> None:
    with refused("training.unsupported_callback", "callbacks.mine._target_", name, REFUSED[name]):
        check_callback_names({"mine": DictConfig({"_target_": f"lightning.pytorch.callbacks.{name}"})})


def test_it_is_refused_before_its_arguments_are_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMOKE, "dry_run=true", f"{CALLBACK}.EarlyStopping"]) == 2
    assert_refused(capsys.readouterr().err, "training.unsupported_callback", "callbacks.mine._target_")


def test_a_callback_that_derives_from_a_refused_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("callbacklab.py").write_text(
        "from lightning.pytorch.callbacks import ModelCheckpoint\nclass Mine(ModelCheckpoint): pass\n"
    )
    assert run([*SMOKE, "dry_run=true", "trust=[callbacklab]", "+callbacks.mine._target_=callbacklab.Mine"]) == 2
    assert_refused(
        capsys.readouterr().err,
        "training.unsupported_callback",
        "callbacks.mine._target_: Mine",
        "callbacks.checkpointing",
    )


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_callbacks_of_lightning_train() -> None:
    given = [f"{CALLBACK.replace('mine', f'x{number}')}.{name}" for number, name in enumerate(TRAINING)]
    assert run([*SMOKE, "output_dir=run", "iterations=4", *given]) == 0
    assert any("lr-generators" in row for row in rows()), "the rates that LearningRateMonitor found"


@pytest.mark.parametrize("name", PROGRESS_BARS)
def test_a_progress_bar_of_lightning_replaces_ours(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMOKE, "dry_run=true", f"{CALLBACK}.{name}"]) == 2
    assert_refused(capsys.readouterr().err, "training.two_progress_bars", "callbacks.progress_bar=null")
    assert run([*SMOKE, "iterations=2", "callbacks.progress_bar=null", f"{CALLBACK}.{name}"]) == 0


def test_a_training_that_a_callback_stops_does_not_claim_to_be_done() -> None:
    assert run([*SMOKE, "output_dir=run", f"{CALLBACK}.Timer", "+callbacks.mine.duration.seconds=0"]) == 0
    log = Path("run/log.txt").read_text()
    assert "a callback stopped the training at iteration 0 of 8" in log and "are done\n" not in log.split("0 of 8")[-1]
    state = Run("run").state
    assert state and (state.status, state.sessions[-1].reason) == ("interrupted", "stopped by a callback")


def test_the_csv_logger_has_the_rows_of_metrics_jsonl_and_keeps_those_of_earlier_sessions() -> None:
    command = [*SMOKE[:3], *SMOKE[4:], "logger=csv"]
    assert run([*command, "output_dir=run", "iterations=4"]) == 0
    assert run(["train", "resume=run", "iterations=6"]) == 0
    sessions = [
        list(csv.DictReader(Path(f"run/csv/version_{number}/metrics.csv").read_text().splitlines()))
        for number in range(2)
    ]
    logged = [(int(row["step"]), float(row["loss/generators_a_gan"])) for session in sessions for row in session]
    assert logged == [(row["iteration"], row["loss/generators_a_gan"]) for row in rows()]


def test_a_logger_of_lightning_writes_to_the_run_s_folder_or_where_it_is_told() -> None:
    assert run([*SMOKE, "iterations=2", "output_dir=run", f"{LOGGER}.CSVLogger"]) == 0
    assert Path("run/lightning_logs/version_0/metrics.csv").exists()
    assert run([*SMOKE, "iterations=2", f"{LOGGER}.CSVLogger", "+logger.mine.save_dir=elsewhere"]) == 0
    assert Path("elsewhere/lightning_logs/version_0/metrics.csv").exists()


def test_evaluate_leaves_lightning_s_loggers_out() -> None:
    """They would start another log, and a checkpoint's config may not name them."""
    assert run([*SMOKE, "iterations=2", "output_dir=run", f"{LOGGER}.CSVLogger"]) == 0
    assert run(["evaluate", "run"]) == 0
    assert [path.name for path in Path("run/lightning_logs").iterdir()] == ["version_0"]


FAILING = """
from lightning import Callback
from lightning.pytorch.loggers import CSVLogger


class MyCallback(Callback):
    def __init__(self): raise RuntimeError("no such server")


class MyLogger(CSVLogger):
    def __init__(self, save_dir): raise RuntimeError("no such account")


def no_logger(run): return 3
"""


@pytest.mark.parametrize(
    ("entry", "code", "named"),
    [
        ("callbacks.mine._target_=failinglab.MyCallback", "config.build_failed", "callbacks.mine"),
        (
            "logger.mine._target_=failinglab.MyLogger",
            "config.build_failed",
            "logger.mine cannot be built: no such account",
        ),
        ("logger.mine._target_=failinglab.no_logger", "logger.not_a_logger", "logger.mine"),
        ("callbacks.mine._target_=failinglab.no_logger", "config.missing_setting", "callbacks.mine"),
        ("trainer.profiler=fast", "training.invalid_trainer", "trainer"),
    ],
)
def test_what_a_training_would_fail_with_a_dry_run_reports(
    entry: str, code: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("failinglab.py").write_text(FAILING)
    command = [*SMOKE, "trust=[failinglab]", entry if entry.startswith("trainer") else f"+{entry}"]
    for given in ([*command, "dry_run=true"], command):
        assert run(given) == 2
        assert_refused(capsys.readouterr().err, code, named)
    assert not Path("runs").exists(), "no folder is left of a run that never began"


def test_a_dry_run_writes_nothing() -> None:
    assert (
        run([*SMOKE, "dry_run=true", "output_dir=run", f"{LOGGER}.CSVLogger", f"{CALLBACK}.LearningRateMonitor"]) == 0
    )
    assert list(Path().iterdir()) == []
