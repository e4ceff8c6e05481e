"""run.json, as programs read it: who trains a run, how far it is, and how each session ended."""

import json
import os
import signal
from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.files.file_lock import is_locked, try_lock
from stylegan_lab.runs.reader import check_finished, find_run, read_state, recorded_state
from stylegan_lab.runs.run import Run
from stylegan_lab.runs.state import NEW_RUN, RunState, parse_state
from tests.refusals import refused
from tests.training.test_signals import LONG, metric_rows
from tests.training.train_process import TrainProcess

QUICK = ["experiment=smoke", "logger=none", "evaluate=false", "output_dir=run"]


def test_a_killed_run_is_interrupted_and_one_that_is_trained_is_running(tmp_path: Path) -> None:
    process = TrainProcess(LONG, tmp_path)
    process.wait_until(lambda: len(metric_rows(tmp_path)) > 1)
    state = read_state(tmp_path / "run")
    assert state is not None and state.status == "running" and state.budget == 1_000_000
    process.kill(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    recorded, state = recorded_state(tmp_path / "run"), read_state(tmp_path / "run")
    assert recorded is not None and recorded.status == "running", "nobody could write anything else"
    assert state is not None and state.status == "interrupted" and state.sessions[-1].end is None
    with refused("run.not_finished", "interrupted, at iteration 0 of 1000000"):
        check_finished(Run(tmp_path / "run"))


def test_every_session_says_how_it_ended(tmp_path: Path) -> None:
    timed = TrainProcess([*LONG, "time_limit=0:00:05"], tmp_path)
    assert timed.wait() == 124
    state = read_state(tmp_path / "run")
    assert state is not None and state.status == "interrupted" and state.iteration > 0
    left = state.iteration
    assert TrainProcess([*LONG, f"iterations={left + 2}", "time_limit=null"], tmp_path).wait() == 0
    state = check_finished(Run(tmp_path / "run"))
    first, second = state.sessions
    assert (first.reason, second.reason) == ("reached time_limit", "reached its budget")
    assert (first.budget, second.budget) == (1_000_000, left + 2) and state.budget == state.iteration == left + 2
    assert (first.first_iteration, first.last_iteration, second.first_iteration) == (0, left, left)
    assert first.end and second.end and second.seconds > 0


def test_a_failed_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("stylegan_lab.models.translation.cyclegan.CycleGAN.training_step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(["train", *QUICK])
    state = read_state(Path("run"))
    assert state is not None and state.status == "failed" and state.sessions[-1].reason == "division by zero"
    assert run(["train", *QUICK]) == 0
    assert check_finished(Run("run")).best_score is not None


def test_a_run_that_was_killed_after_its_last_checkpoint_is_finished_when_the_command_is_repeated() -> None:
    assert run(["train", *QUICK, "iterations=2"]) == 0
    finished = check_finished(Run("run"))
    RunState("running", 2, 0, finished.sessions).write(Path("run"))
    assert run(["train", *QUICK, "iterations=2"]) == 0
    assert check_finished(Run("run")).iteration == 2
    beyond = RunState("interrupted", 9, 2, finished.sessions)
    beyond.write(Path("run"))
    assert run(["train", *QUICK, "iterations=1"]) == 0
    assert read_state(Path("run")) == beyond, "it was trained with another budget"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": 2, "status": "finished"}', '{"schema": 1, "status": "done"}',
                                  '{"schema": 1, "status": "finished"}',
                                  '{"schema": 1, "status": "running", "sessions": 3}'])  # fmt: skip
def test_a_damaged_state_is_no_state(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    assert read_state(tmp_path) is None
    with refused("run.state_unreadable", "run.json"):
        check_finished(Run(tmp_path))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    state = (
        NEW_RUN.start_session(0, 10, 2).update_session(last_iteration=4, seconds=1.5).end_session("interrupted", "x")
    )
    state.write(tmp_path)
    assert recorded_state(tmp_path) == state
    contents = json.loads((tmp_path / "run.json").read_text())
    assert parse_state(json.dumps(contents | {"added_later": 1})) == state, "keys of a later version are skipped"


def test_reading_a_state_disturbs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks if the lock is held has it for a moment, in which a training may start."""
    others = iter([True, True])
    monkeypatch.setattr("stylegan_lab.runs.run.try_lock", lambda path: None if next(others, False) else try_lock(path))
    with Run(tmp_path).lock():
        assert is_locked(tmp_path / ".lock")
    assert not is_locked(tmp_path / ".lock") and not is_locked(tmp_path / "nothing")


def test_latest_is_the_run_that_was_written_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(["runs/demo/2", "runs/demo/1", "runs/cut/3"]):
        Path(name).mkdir(parents=True)
        for file in ("config.yaml", "metrics.jsonl"):
            (Path(name) / file).write_text("data: {}\n")
            os.utime(Path(name) / file, (1_000_000 - age, 1_000_000 - age))
    assert find_run("latest")[0].folder == tmp_path / "runs/demo/2"
    os.utime("runs/cut/3/metrics.jsonl", (2_000_000, 2_000_000))
    assert find_run("latest")[0].folder == tmp_path / "runs/cut/3"
    (tmp_path / "latest").mkdir()
    with refused("run.not_found", "latest"):
        find_run("latest")  # a folder of this name is meant
