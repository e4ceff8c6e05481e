"""`stylegan-lab sync`: offline records are found, listed and uploaded once, as one run; missing requirements are named."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.loggers.wandb import WandBLogger, WandBRun
from stylegan_lab.runs.run import Run
from tests.loggers.test_wandb import log_training, make_run
from tests.loggers.wandb_file import parts
from tests.refusals import assert_refused
from tests.wandb_server import WandbServer

KEY = "0" * 40


@pytest.fixture(scope="module")
def offline_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in two parts."""
    run = make_run(tmp_path_factory.mktemp("sync") / "runs" / "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for first, last in ((1, 4), (5, 6)):
            logger = WandBLogger(run, WandBRun())
            log_training(run, logger, first, last)
            logger.finalize("success")
        parts(run.folder)  # waits until they are finished
    return run


@pytest.fixture
def runs(offline_run: Run, tmp_path: Path) -> Path:
    """A copy of it in a folder of runs, with a run that W&B did not log."""
    shutil.copytree(offline_run.folder, tmp_path / "runs" / "mine", symlinks=True)
    make_run(tmp_path / "runs" / "other")
    return tmp_path / "runs"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with WandbServer().serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


def test_a_dry_run_lists_the_runs_and_what_is_missing(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert run(["sync", str(runs), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{runs}/mine  2 parts, 2 images, \d+ kB", lines[0])
    assert lines[1] == f"{runs}/other  has no offline records of W&B"
    assert re.fullmatch(r"1 run to upload: 2 parts, 2 images, \d+ kB", lines[2])
    assert lines[3] == "cannot be uploaded yet: W&B needs an API key: run `wandb login`, or set WANDB_API_KEY"


def test_without_a_key_or_a_server_no_upload_is_tried(
    runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert run(["sync", str(runs)]) == 2
    assert_refused(capsys.readouterr().err, "logger.api_key_missing", "WANDB_API_KEY")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert run(["sync", str(runs)]) == 2
    assert_refused(capsys.readouterr().err, "logger.unreachable", "http://127.0.0.1:9")


def test_parts_of_a_run_are_uploaded_as_one_and_once(
    runs: Path, server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = max((runs / "mine" / "wandb").glob("offline-run-*"))
    second.rename(tmp_path / "later")
    assert run(["sync", str(runs / "mine")]) == 0
    (name,) = server.history
    assert name == (runs / "mine" / "wandb" / "id").read_text()
    assert server.history[name][-1]["iteration"] == 4
    (tmp_path / "later").rename(second)
    assert run(["sync", str(runs), str(runs / "mine")]) == 0
    assert list(server.history) == [name]
    iterations = [row["iteration"] for row in server.history[name] if "val/ssim" in row]
    assert iterations == [1, 2, 3, 4, 5, 6]
    assert [row["_step"] for row in server.history[name]] == list(range(len(server.history[name])))
    assert server.runs[name]["groupName"] == "tiny" and server.runs[name]["jobType"] == "train"
    sent = {path.rsplit("/", 1)[1]: data for path, data in server.files.items() if path.startswith("media/images/")}
    local = {path.name: path.read_bytes() for path in runs.glob("mine/wandb/offline-run-*/files/media/images/*")}
    assert sent == local and len(sent) == 2
    assert f"{runs}/mine  {server.url}/me/stylegan_lab/runs/{name}" in capsys.readouterr().out

    assert run(["sync", str(runs)]) == 0
    assert f"{runs}/mine  is uploaded\n" in capsys.readouterr().out
    assert len(list(runs.glob("mine/wandb/offline-run-*/*.synced"))) == 2
    assert sorted(path.name for path in runs.parent.iterdir()) == ["runs"], "W&B's own logs are in the run too"


def test_incomplete_parts_are_uploaded_in_order_as_far_as_possible(
    runs: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SERVICE", "2-1-unix-/tmp/ended/socket")  # of a service that has ended, which is not used
    for part in (runs / "mine").glob("wandb/offline-run-*/*.wandb"):
        part.write_bytes(part.read_bytes()[:-100])
    assert run(["sync", str(runs / "mine")]) == 0
    (rows,) = server.history.values()
    assert [row["iteration"] for row in rows if "val/ssim" in row] == [1, 2, 3, 4, 5, 6]


def test_what_a_server_refuses_is_reported_and_can_be_uploaded_later(
    runs: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuses = True
    assert run(["sync", str(runs)]) == 2
    assert_refused(capsys.readouterr().err, "logger.upload_incomplete", f"{runs}/mine")
    assert run(["sync", str(runs), "--dry-run"]) == 0
    assert "1 run to upload: 2 parts" in capsys.readouterr().out


def test_a_run_in_training_is_not_uploaded(runs: Path, server: WandbServer, capsys: pytest.CaptureFixture[str]) -> None:
    with Run(runs / "mine").lock():
        assert run(["sync", str(runs)]) == 2
    assert_refused(capsys.readouterr().err, "run.locked", f"{runs}/mine")
    assert server.history == {}


def test_a_moved_run_names_the_folder_of_its_missing_files(
    offline_run: Run, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = offline_run.folder.with_name("away")
    offline_run.folder.rename(moved)
    try:
        assert run(["sync", str(runs / "mine"), "--dry-run"]) == 0
    finally:
        moved.rename(offline_run.folder)
    assert f"; without tables and checkpoints, which were stored in {offline_run.folder}/" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "code", "named"), [("nowhere", "run.not_found", "nowhere"), (".", "run.none_in_folder", "")]
)
def test_a_folder_without_runs_is_refused(path: str, code: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sync", path]) == 2
    assert_refused(capsys.readouterr().err, code, named)
