"""The run folder: new ones have their own names, old ones make room, and its records are read again."""

import json
import os
import time
from pathlib import Path

import pytest

from stylegan_lab.runs import run as run_module
from stylegan_lab.runs.reader import last_log_lines, newest_run, read_evaluations, read_protocol
from stylegan_lab.runs.run import LOCK_FILE, MOVED_ASIDE, Run, new_run
from tests.refusals import refused


def recorded(folder: Path) -> Run:
    folder.mkdir(parents=True)
    run = Run(folder)
    run.record_config({"name": "x"}, ["seed=1"], {"commit": "b"}, ["a"])
    return run


def test_runs_of_the_same_second_have_different_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "now")
    drawn = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(run_module.secrets, "token_hex", lambda _: next(drawn))
    names = [new_run(tmp_path / "deep" / "runs", "x-").folder.name for _ in range(2)]
    assert names == ["x-now-aaaa", "x-now-bbbb"] and (tmp_path / "deep" / "runs" / names[1]).is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with refused("run.not_writable", str(tmp_path / "file"), "output_dir=FOLDER"):
        new_run(tmp_path / "file")


def test_a_run_makes_room_for_a_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(tmp_path / "run")
    run.move_aside()
    (old,) = tmp_path.iterdir()
    assert MOVED_ASIDE.search(old.name) and old.name.startswith("run.old-") and (old / "config.yaml").exists()
    assert str(old) in capsys.readouterr().out
    run.folder.mkdir()
    run.move_aside()
    assert run.folder.is_dir(), "a folder without a run stays"


def test_a_run_without_a_config_but_with_a_checkpoint_is_a_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert not run.exists
    run.checkpoints.mkdir()
    assert not run.exists
    (run.checkpoints / "000001.ckpt").write_text("")
    assert run.exists


def test_an_empty_folder_of_a_run_is_deleted_with_its_empty_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "runs" / "kept"
    kept.mkdir(parents=True)
    (kept / "file").write_text("")
    for folder in (kept, tmp_path / "runs" / "deep" / "empty", tmp_path / "alone"):
        folder.mkdir(parents=True, exist_ok=True)
        if folder != kept:
            (folder / LOCK_FILE).write_text("")
        Run(folder).remove_if_empty()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"], "never the current directory"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["kept"]


def test_environment_lists_the_commits_of_all_sessions(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run")
    assert json.loads((run.folder / "environment.json").read_text())["commits"] == ["a", "b"]
    assert (run.folder / "overrides.txt").read_text() == "seed=1\n"


def test_the_refusal_of_a_missing_checkpoint_lists_the_others(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with refused("checkpoint.not_found", "best", "none yet"):
        run.checkpoint("best")
    run.checkpoints.mkdir()
    for name in ("2", "1"):
        (run.checkpoints / f"{name}.ckpt").write_text("")
    with refused("checkpoint.not_found", "none", "1, 2"):
        run.checkpoint("none")
    assert run.checkpoint(str(run.checkpoints / "1.ckpt")) == run.checkpoints / "1.ckpt"


def test_the_newest_run_of_a_folder_and_that_of_a_checkpoint(tmp_path: Path) -> None:
    first, second = (recorded(tmp_path / name) for name in ("first", "second"))
    for path in first.folder.iterdir():
        os.utime(path, (1, 1))
    assert newest_run(str(tmp_path)).name == "second"
    first.checkpoints.mkdir()
    (first.checkpoints / "1.ckpt").write_text("")
    assert newest_run(str(first.checkpoints / "1.ckpt")) == first.folder
    assert second.newest() is None


def test_protocols_are_read_again_and_only_of_a_run(tmp_path: Path) -> None:
    Run(tmp_path).record_protocol({"l1": "mean"})
    assert not (tmp_path / "protocol.json").exists()
    run = recorded(tmp_path / "run")
    assert read_protocol(run) == {}
    run.record_protocol({"l1": "mean"})
    assert read_protocol(run) == {"l1": "mean"}
    for damaged in ("[1]", "{"):
        (run.folder / "protocol.json").write_text(damaged)
        assert read_protocol(run) == {}


def test_evaluations_are_read_in_order_and_damaged_ones_are_counted(tmp_path: Path) -> None:
    run, warnings = recorded(tmp_path / "run"), list[str]()
    assert read_evaluations(run) == []
    scores = [{"split": "val", "metrics": {"l1": 1}}, {"split": "test", "metrics": {"l1": 2}}]
    for each in scores:
        run.record_scores(each)
    assert read_evaluations(run) == [*scores, scores[-1]], "the latest is in both files"
    with (run.folder / "scores.jsonl").open("a") as file:
        file.write('{"metrics": 1}\n{"split": "val"}\n{\n')
    assert read_evaluations(run, warnings) == [*scores, scores[-1]] and len(warnings) == 3


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    assert last_log_lines(tmp_path, 2) == []
    run = Run(tmp_path)
    for number in range(3000):
        run.log(f"sentence {number} {'x' * 40}")
    assert [line.split()[3] for line in last_log_lines(tmp_path, 2)] == ["2998", "2999"]
