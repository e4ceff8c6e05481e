"""Sweeps from the command line: grids, searches, interruption, resuming and reports. The trials are run by fake_trial.py."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins import basic_launcher

from stylegan_lab.cli.main import run
from stylegan_lab.cores import num_cores
from stylegan_lab.sweeps import trial_process
from stylegan_lab.sweeps.trial import load_trials
from tests.refusals import assert_refused
from tests.sweeps import fake_sweep
from tests.sweeps.fake_sweep import fake_train_command

SCORE = "val/sliced_wasserstein"
BASE = ["experiment=smoke", "iterations=4", "output_dir=swept"]


@pytest.fixture
def fake_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_process, "train_command", fake_train_command)


def train(*words: str) -> int:
    return run(["train", *words])


def sweep_json() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("swept/sweep.json").read_text())
    return found


def num_starts(folder: str) -> int:
    return len(Path("swept", folder, "log.txt").read_text().splitlines())


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(sqlalchemy|alembic).*")


@pytest.mark.usefixtures("fake_trials")
def test_a_grid_runs_every_combination_and_reports_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "loss=lsgan,hinge", "model.cycle_weight=5,6,11") == 0
    out = capsys.readouterr().out
    report = sweep_json()
    assert report["states"] == {"complete": 6}
    assert [trial["point"] for trial in report["trials"]][:3] == [
        {"loss": "lsgan", "model.cycle_weight": weight} for weight in ("5", "6", "11")
    ]
    assert [each["point"]["model.cycle_weight"] for each in report["best"]] == ["6"]
    assert "best       #1: stylegan-lab train experiment=smoke iterations=4 loss=lsgan model.cycle_weight=6\n" in out
    shares = report["importance"][SCORE]
    assert shares["model.cycle_weight"] == pytest.approx(1) and shares["loss"] == 0
    page = Path("swept/sweep.html").read_text()
    assert page.count("<path") == 6 and "http" not in page and "src=" not in page


@pytest.mark.usefixtures("fake_trials")
def test_the_printed_command_reproduces_the_best_point(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "model.cycle_weight=5,6", "seed=3,4") == 0
    found = re.search(r"^best .*?: (stylegan-lab .*)$", capsys.readouterr().out, re.MULTILINE)
    assert found and found[1] == "stylegan-lab train -m experiment=smoke iterations=4 model.cycle_weight=6 seed=3,4"
    assert run([*shlex.split(found[1])[1:], "output_dir=again"]) == 0
    again = json.loads(Path("again/sweep.json").read_text())
    assert again["groups"][0]["scores"] == sweep_json()["best"][0]["scores"]


@pytest.mark.usefixtures("fake_trials")
def test_several_seeds_report_mean_and_standard_deviation(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*BASE, "seeds=5", "seed=2") == 0
    (group,) = sweep_json()["groups"]
    assert [trial["seed"] for trial in sweep_json()["trials"]] == [2, 3, 4, 5, 6]
    score = group["scores"][SCORE]
    assert score["mean"] == pytest.approx(3 + 4 + 0.25) and score["n"] == 5
    assert score["std"] == pytest.approx(2.5**0.5)
    assert "7.25 ± 1.6 (5)" in capsys.readouterr().out


@pytest.mark.usefixtures("fake_trials")
def test_points_with_several_seeds_are_compared_by_their_means() -> None:
    assert train("-m", *BASE, "seeds=2", "model.cycle_weight=5,8") == 0
    assert [group["trials"] for group in sweep_json()["groups"]] == [[0, 1], [2, 3]]
    (best,) = sweep_json()["best"]
    assert best["trials"] == [2, 3] and best["scores"][SCORE]["mean"] == pytest.approx(1.75)


@pytest.mark.usefixtures("fake_trials")
def test_a_failed_trial_is_recorded_with_its_reason_and_the_others_continue(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "model.cycle_weight=13,17,5") == 2
    states = [(trial["state"], trial["reason"]) for trial in sweep_json()["trials"]]
    assert states == [("failed", "thirteen brings no luck"), ("failed", "killed by SIGKILL"), ("complete", "")]
    err = capsys.readouterr().err
    assert_refused(err, "sweep.trials_failed", "2 of 3 trials", "#0 cycle_weight=13: failed, thirteen brings no luck")
    assert train("-m", *BASE, "model.cycle_weight=13,17,5") == 2, "failed trials are run again"
    assert [trial["state"] for trial in sweep_json()["trials"]] == ["failed", "complete", "complete"]
    assert num_starts("2") == 1, "complete trials are not"
    assert train("-m", *BASE, "model.cycle_weight=13,17,5", "iterations=6") == 2
    assert [trial["iteration"] for trial in sweep_json()["trials"]] == [0, 6, 6], (
        "complete trials resume with a larger budget"
    )


class SweepProcess:
    """A sweep's command in a process that can be interrupted."""

    def __init__(self, *words: str, fake: bool = True) -> None:
        program = [str(fake_sweep.__file__)] if fake else ["-m", "stylegan_lab"]
        self.process = subprocess.Popen(
            [sys.executable, *program, "train", *words],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def wait_until(self, is_so: Callable[[], bool], seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end and self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def finish(self, code: int) -> str:
        output, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == code, output
        return output


def num_metric_rows(folder: str) -> int:
    record = Path("swept", folder, "metrics.jsonl")
    return len(record.read_text().splitlines()) if record.exists() else 0


@pytest.mark.usefixtures("fake_trials", "forked_processes")
def test_an_interrupted_grid_stops_its_trials_and_resumes_with_the_same_command() -> None:
    words = ["-m", *BASE, "model.cycle_weight=1,2,3", "sweep.n_jobs=2", "iterations=8"]
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        sweep, before = SweepProcess(*words, "+vars.pause=0.3"), num_metric_rows("0") + num_metric_rows("1")
        sweep.wait_until(lambda before=before: num_metric_rows("0") + num_metric_rows("1") >= before + 2)
        sweep.process.send_signal(number)
        assert "3 of 3 trials are not finished; to resume, run the same command with output_dir=" in sweep.finish(code)
        assert sweep_json()["states"] == {"stopped": 2}
    assert train(*words) == 0
    assert sweep_json()["states"] == {"complete": 3} and [num_starts(str(number)) for number in range(3)] == [3, 3, 1]


@pytest.mark.usefixtures("fake_trials", "forked_processes")
def test_a_killed_search_is_resumed_and_samples_the_same_points(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["-m", *BASE, "sweep=smoke", "sweep.overrides=[]", "sweep.n_trials=3"]
    killed = SweepProcess(*words, "+vars.pause=0.5")
    killed.wait_until(lambda: num_metric_rows("1") >= 1)
    killed.process.kill()
    killed.finish(-signal.SIGKILL)
    os.kill(int(Path("swept/1/pid").read_text()), signal.SIGTERM)  # the trial would run to its end without the sweep
    assert train(*words) == 2
    assert_refused(capsys.readouterr().err, "sweep.definition_changed", "swept", "other overrides")
    assert train(*words, "+vars.pause=0.5") == 0
    assert sweep_json()["states"] == {"complete": 3} and num_starts("1") == 2
    points = [trial["point"] for trial in sweep_json()["trials"]]
    Path("swept").rename("kept")
    assert train(*words) == 0
    assert [trial["point"] for trial in sweep_json()["trials"]] == points


@pytest.mark.usefixtures("fake_trials", "forked_processes")
def test_a_trial_that_outlives_its_sweep_is_not_started_twice(capsys: pytest.CaptureFixture[str]) -> None:
    killed = SweepProcess("-m", *BASE, "model.cycle_weight=1,2", "+vars.pause=30")
    killed.wait_until(lambda: Path("swept/0/pid").exists())
    killed.process.kill()
    killed.finish(-signal.SIGKILL)
    assert train("-m", *BASE, "model.cycle_weight=1,2") == 0
    assert "1 trials are still running in other processes" in capsys.readouterr().out
    assert sweep_json()["states"] == {"running": 1, "complete": 1}
    os.kill(int(Path("swept/0/pid").read_text()), signal.SIGKILL)
    assert train("-m", *BASE, "model.cycle_weight=1,2") == 0
    assert sweep_json()["states"] == {"complete": 2}


@pytest.mark.usefixtures("forked_processes")
def test_several_worker_processes_share_one_study() -> None:
    words = ["-m", *BASE, "sweep=smoke", "sweep.overrides=[]", "sweep.n_trials=6", "+vars.pause=0.3"]
    workers = [SweepProcess(*words, "sweep.storage=sqlite") for _ in range(2)]
    outputs = [worker.finish(0) for worker in workers]
    assert [trial["number"] for trial in sweep_json()["trials"]] == list(range(6))
    assert all(num_starts(str(number)) == 1 for number in range(6))
    assert all("started" in each for each in outputs), "both ran trials"


@pytest.mark.usefixtures("fake_trials")
@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_a_search_finds_good_points(sampler: str) -> None:
    space = ["model.cycle_weight=interval(1,50)", "model.identity_weight=interval(0,1)"]
    assert train("-m", *BASE, "sweep=search", f"sweep.sampler={sampler}", "sweep.n_trials=8", *space) == 0
    assert sweep_json()["best"][0]["scores"][SCORE]["mean"] < 20
    assert len({trial["point"]["model.cycle_weight"] for trial in sweep_json()["trials"]}) == 8


@pytest.mark.usefixtures("fake_trials")
def test_the_median_pruner_ends_bad_trials_early() -> None:
    """The random sampler happens to draw good points first here, and bad ones last."""
    words = [
        "sweep=search",
        "sweep.sampler=random",
        "sweep.pruner=median",
        "sweep.n_startup_trials=2",
        "+vars.pause=0.3",
    ]
    assert train("-m", *BASE, *words, "sweep.n_trials=6", "model.cycle_weight=range(1,60)") == 0
    states = sweep_json()["states"]
    assert states.get("pruned", 0) >= 1 and states["complete"] >= 2
    assert all(trial["iteration"] < 4 for trial in sweep_json()["trials"] if trial["state"] == "pruned")


@pytest.mark.usefixtures("fake_trials")
def test_several_objectives_report_the_pareto_front(capsys: pytest.CaptureFixture[str]) -> None:
    """The fake scores: lower weights keep more content, and 7 has the best distance, so larger weights are dominated."""
    objectives = f"sweep.objectives=[{SCORE},val/edge_correlation]"
    assert train("-m", *BASE, objectives, "model.cycle_weight=2,5,7,9,12") == 0
    assert [each["trials"] for each in sweep_json()["best"]] == [[0], [1], [2]]
    assert capsys.readouterr().out.count("pareto") == 3
    assert (
        train(
            "-m",
            *BASE[:2],
            "output_dir=searched",
            "sweep=search",
            "sweep.n_trials=3",
            objectives,
            "model.cycle_weight=interval(1,20)",
        )
        == 0
    )


@pytest.mark.usefixtures("fake_trials")
def test_a_search_resumes_with_more_trials_and_records_means_over_seeds() -> None:
    words = ["-m", *BASE, "sweep=search", "seeds=2", "model.cycle_weight=interval(1,20)"]
    assert train(*words, "sweep.n_trials=1") == 0
    assert train(*words, "sweep.n_trials=2") == 0
    assert [group["trials"] for group in sweep_json()["groups"]] == [[0, 1], [2, 3]]
    import optuna

    study = optuna.load_study(study_name="sweep", storage=optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend("swept/study.journal")))  # fmt: skip
    assert [trial.value for trial in study.trials] == pytest.approx(
        [group["scores"][SCORE]["mean"] for group in sweep_json()["groups"]]
    )


MISTAKES = {
    "a sweep without -m": ("sweep=smoke", "cli.only_for_sweeps", "stylegan-lab train -m sweep=smoke"),
    "an unknown sweep": ("-m sweep=smok", "config.unknown_choice", "sweep=smok is unknown (did you mean smoke?)"),
    "two sweeps": ("-m sweep=grid,smoke", "sweep.several_sweeps", "sweep=grid,smoke"),
    "a misspelled setting of a sweep": ("-m sweep.n_job=2", "config.unknown_setting", "did you mean sweep.n_jobs?"),
    "a misspelled parameter": (
        "-m model.cycle_wieght=1,2",
        "config.unknown_setting",
        "did you mean model.cycle_weight?",
    ),
    "a misspelled parameter of a search": (
        "-m sweep=smoke +sweep.params={model.cycle_wieght:[1,2]}",
        "config.unknown_setting",
        "did you mean model.cycle_weight?",
    ),
    "a misspelled choice": (
        "-m loss=lsgan,hing",
        "config.unknown_choice",
        "loss=hing is unknown (did you mean hinge?)",
    ),
    "an interval with its bounds swapped": (
        "-m sweep=smoke model.cycle_weight=interval(20,1)",
        "sweep.empty_range",
        "model.cycle_weight=interval(20,1)",
    ),
    "an empty range": ("-m model.cycle_weight=range(5,5)", "sweep.empty_range", "model.cycle_weight=range(5,5)"),
    "a logarithmic interval from 0": (
        "-m sweep=smoke model.cycle_weight=tag(log,interval(0,1))",
        "sweep.log_bound_not_positive",
        "model.cycle_weight=tag(log,interval(0,1))",
    ),
    "an interval in a grid": (
        "-m model.cycle_weight=interval(1,20)",
        "sweep.interval_in_grid",
        "model.cycle_weight=interval(1,20)",
    ),
    "a list for CMA-ES": ("-m sweep=smoke sweep.sampler=cmaes", "sweep.cmaes_needs_numbers", "sweep.sampler=cmaes"),
    "an unknown sampler": (
        "-m sweep=smoke sweep.sampler=tpo",
        "config.unknown_choice",
        "sweep.sampler=tpo is unknown (did you mean tpe?)",
    ),
    "a search without a number of trials": (
        "-m sweep=search sweep.n_trials=null",
        "sweep.n_trials_missing",
        "sweep.n_trials=20",
    ),
    "a search without parameters": ("-m sweep=search", "sweep.nothing_to_search", "sweep.sampler=tpe"),
    "a number of trials for a grid": ("-m sweep.n_trials=3", "sweep.n_trials_of_grid", "sweep.n_trials=3"),
    "a misspelled objective": (
        "-m sweep.objectives=[val/sim]",
        "sweep.unknown_objective",
        "val/sim is unknown (did you mean val/ssim?)",
    ),
    "an objective of unknown direction": (
        "-m sweep.objectives=[loss/generators_a_cycle]",
        "sweep.direction_missing",
        "+sweep.directions={loss/generators_a_cycle:lower}",
    ),
    "the wrong direction for a metric": (
        "-m sweep.objectives=[val/ssim] +sweep.directions={val/ssim:lower}",
        "sweep.wrong_direction",
        "sweep.directions.val/ssim=lower",
    ),
    "an unknown direction": (
        "-m +sweep.directions={val/sliced_wasserstein:down}",
        "config.unknown_choice",
        "sweep.directions.val/sliced_wasserstein=down",
    ),
    "a pruner with two objectives": (
        "-m sweep=tradeoff sweep.pruner=median",
        "sweep.several_objectives",
        "sweep.pruner=median",
    ),
    "no seeds": ("seeds=0", "config.too_small", "sweep.seeds=0"),
    "a number of seeds that is not a number": ("seeds=many", "config.wrong_type", "sweep.seeds=many"),
    "two choices of seeds": ("-m seeds=3 seed=1,2", "sweep.seeds_twice", "seed=1,2 and seeds=3"),
    "a seed that is not a number": ("-m seed=a,b", "sweep.seed_not_integer", "seed=a"),
    "no jobs": ("-m sweep.n_jobs=0", "config.too_small", "sweep.n_jobs=0"),
    "an unknown storage": (
        "-m sweep=smoke sweep.storage=redis",
        "config.unknown_choice",
        "sweep.storage=redis is unknown; choices: journal, sqlite",
    ),
    "a value listed twice": ("-m loss=lsgan,lsgan", "sweep.repeated_value", "loss=lsgan,lsgan"),
    "a syntax error": (
        "-m model.cycle_weight=interval(1,",
        "config.override_syntax",
        "model.cycle_weight=interval(1, ",
    ),
    "a plugin that is not installed": (
        "-m hydra/launcher=joblib",
        "config.unknown_choice",
        "hydra/launcher=joblib",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported_in_one_sentence_and_writes_no_files(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, code, named = MISTAKES[name]
    assert train(*command.split()) == 2
    err = capsys.readouterr().err
    assert_refused(err, code, named)
    assert "Traceback" not in err, err
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("fake_trials")
def test_a_trial_that_was_resumed_with_a_longer_budget_is_not_complete() -> None:
    assert train("-m", *BASE, "model.cycle_weight=5,6") == 0
    state = json.loads(Path("swept/1/run.json").read_text())
    Path("swept/1/run.json").write_text(json.dumps(state | {"status": "interrupted", "budget": 10, "iteration": 7}))
    (first, second) = load_trials(Path("swept"))
    assert (first.state, second.state) == ("complete", "stopped")
    assert second.reason == "its run is interrupted, at iteration 7 of 10"
    assert train("-m", *BASE, "model.cycle_weight=5,6") == 0
    assert (num_starts("0"), num_starts("1")) == (1, 2)


@pytest.mark.usefixtures("fake_trials")
def test_sweepers_of_hydra_get_the_best_monitored_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna's or Ax's plugin reads the return value of the job; Hydra's own sweeper stands for them."""
    returned: list[Any] = []
    run_job = basic_launcher.run_job

    def noting(*arguments: Any, **named: Any) -> Any:
        job = run_job(*arguments, **named)
        returned.append(job.return_value)
        return job

    monkeypatch.setattr(basic_launcher, "run_job", noting)
    words = ["-m", "hydra/sweeper=basic", "experiment=smoke", "iterations=4", "output_dir=swept"]
    assert train(*words, "model.cycle_weight=5,6") == 0
    assert returned == [2 + 1 / 4, 1 + 1 / 4]
    assert train(*words[:-1], "output_dir=failing", "model.cycle_weight=13") == 2
    assert returned[2:] == [None], "an exit code would be taken for a score"


@pytest.mark.usefixtures("fake_trials")
def test_the_folder_of_a_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("swept").mkdir()
    Path("swept/config.yaml").touch()
    assert train("-m", *BASE) == 2
    assert_refused(capsys.readouterr().err, "sweep.folder_is_run", "swept", "output_dir=FOLDER")


def test_a_search_without_optuna_names_the_package_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert train("-m", "sweep=smoke") == 2
    assert_refused(capsys.readouterr().err, "sweep.package_missing", "pip install 'stylegan_lab[sweep]'")
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("fake_trials")
def test_a_trial_without_a_value_for_the_objective_fails(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sweep=search", "sweep.n_trials=1", "sweep.objectives=[val/psnr]", "model.cycle_weight=interval(1,20)"]
    assert train("-m", *BASE, *words) == 2
    assert_refused(capsys.readouterr().err, "sweep.trials_failed", "val/psnr was not recorded")


@pytest.mark.usefixtures("fake_trials")
def test_a_dry_run_prints_the_plan_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("-m", *BASE, "dry_run=true", "loss=lsgan,hinge", "seeds=3") == 0
    out = capsys.readouterr().out
    assert "6 trials in" in out and "params     loss=lsgan,hinge" in out and "seeds      0 1 2" in out
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("fake_trials")
def test_parallel_trials_get_their_own_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.sweeps.sweep.visible_gpus", lambda: ["4", "5", "6", "7"])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert train("-m", *BASE, "sweep.n_jobs=2", "strategy.devices=2", "model.cycle_weight=1,2", "+vars.pause=0.5") == 0
    environments = [json.loads(Path(f"swept/{number}/environment.json").read_text()) for number in (0, 1)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in environments] == ["4,5", "6,7"]
    assert {each["OMP_NUM_THREADS"] for each in environments} == {str(max(1, num_cores() // 2))}
