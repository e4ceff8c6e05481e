"""`stylegan-lab sync`: what was written offline is found, told of, uploaded once, as one run; what is missing is said."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.loggers.wandb import Place, WandB
from stylegan_lab.runs import Run
from tests.loggers.test_wandb import a_run, play
from tests.loggers.wandb_file import parts
from tests.wandb_server import WandbServer

KEY = "0" * 40


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in two parts."""
    run = a_run(tmp_path_factory.mktemp("sync") / "runs" / "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for first, last in ((1, 4), (5, 6)):
            logger = WandB(run, Place())
            play(run, logger, first, last)
            logger.finalize("success")
        parts(run.folder)  # until they are whole
    return run


@pytest.fixture
def runs(kept: Run, tmp_path: Path) -> Path:
    """A copy of it in a folder of runs, with one that W&B did not watch."""
    shutil.copytree(kept.folder, tmp_path / "runs" / "mine", symlinks=True)
    a_run(tmp_path / "runs" / "other")
    return tmp_path / "runs"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with WandbServer().serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


def test_a_dry_run_says_what_there_is_and_what_is_missing(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert run(["sync", str(runs), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{runs}/mine  2 parts, 2 pictures, \d+ kB", lines[0])
    assert lines[1] == f"{runs}/other  has nothing that W&B wrote offline"
    assert re.fullmatch(r"1 run to upload: 2 parts, 2 pictures, \d+ kB", lines[2])
    assert lines[3] == "W&B needs a key: give it to `wandb login`, or as WANDB_API_KEY, before it can be uploaded"


def test_without_a_key_or_a_server_nothing_is_tried(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert run(["sync", str(runs)]) == 2
    assert "nothing is uploaded: W&B needs a key" in capsys.readouterr().err
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert run(["sync", str(runs)]) == 2
    assert "nothing is uploaded: http://127.0.0.1:9 does not answer" in capsys.readouterr().err


def test_parts_of_a_run_are_uploaded_in_order_as_one_and_once(
    runs: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sync", str(runs), str(runs / "mine")]) == 0
    (name,) = server.history
    assert name == (runs / "mine" / "wandb" / "id").read_text()
    told = [row["iteration"] for row in server.history[name] if "val/ssim" in row]
    assert told == [1, 2, 3, 4, 5, 6]
    assert [row["_step"] for row in server.history[name]] == list(range(len(server.history[name])))
    assert server.runs[name]["groupName"] == "tiny" and server.runs[name]["jobType"] == "train"
    sent = {path.rsplit("/", 1)[1]: data for path, data in server.files.items() if path.startswith("media/images/")}
    here = {path.name: path.read_bytes() for path in runs.glob("mine/wandb/offline-run-*/files/media/images/*")}
    assert sent == here and len(sent) == 2
    assert f"{runs}/mine  {server.url}/me/stylegan_lab/runs/{name}" in capsys.readouterr().out

    assert run(["sync", str(runs)]) == 0
    assert f"{runs}/mine  is uploaded\n" in capsys.readouterr().out
    assert len(list(runs.glob("mine/wandb/offline-run-*/*.synced"))) == 2
    assert sorted(path.name for path in runs.parent.iterdir()) == ["runs"], "W&B's own logs lie in the run too"


@pytest.mark.slow
def test_what_was_added_to_an_uploaded_run_follows(runs: Path, server: WandbServer) -> None:
    second = max((runs / "mine" / "wandb").glob("offline-run-*"))
    second.rename(runs / "later")
    assert run(["sync", str(runs / "mine")]) == 0
    (rows,) = server.history.values()
    assert rows[-1]["iteration"] == 4
    (runs / "later").rename(second)
    assert run(["sync", str(runs / "mine")]) == 0
    assert [row["iteration"] for row in rows if "val/ssim" in row] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_part_that_a_kill_cut_off_is_uploaded_as_far_as_it_goes(runs: Path, server: WandbServer) -> None:
    for part in (runs / "mine").glob("wandb/offline-run-*/*.wandb"):
        part.write_bytes(part.read_bytes()[:-100])
    assert run(["sync", str(runs / "mine")]) == 0
    (rows,) = server.history.values()
    assert [row["iteration"] for row in rows if "val/ssim" in row] == [1, 2, 3, 4, 5, 6]


def test_what_a_server_refuses_is_told_and_stays_to_be_uploaded(
    runs: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuses = True
    assert run(["sync", str(runs)]) == 2
    assert f"{runs}/mine is not uploaded whole: " in capsys.readouterr().err
    assert run(["sync", str(runs), "--dry-run"]) == 0
    assert "1 run to upload: 2 parts" in capsys.readouterr().out


def test_a_run_that_is_being_trained_is_left_alone(
    runs: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with Run(runs / "mine").held():
        assert run(["sync", str(runs)]) == 2
    assert "is being trained by another process" in capsys.readouterr().err and server.history == {}


def test_a_folder_that_was_moved_says_what_it_left_behind(
    kept: Run, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away = kept.folder.with_name("away")
    kept.folder.rename(away)
    try:
        assert run(["sync", str(runs / "mine"), "--dry-run"]) == 0
    finally:
        away.rename(kept.folder)
    assert f"; without tables and checkpoints, which were kept in {kept.folder}/" in capsys.readouterr().out


@pytest.mark.parametrize(("place", "why"), [("nowhere: ", "there is no such run"), (".", " holds no runs")])
def test_a_folder_without_runs_is_refused(place: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sync", place.removesuffix(": ")]) == 2
    assert f"{place}{why}" in capsys.readouterr().err
