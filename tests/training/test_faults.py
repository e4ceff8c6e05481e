"""What breaks from outside: full disks, folders and pictures that are gone, dead loader workers, servers that hang. Each is told in
a sentence, and nothing that was saved is lost."""

import resource
import shutil
import signal
import socket
import sys
import textwrap
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.loggers.jsonl_logger import JSONLLogger
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.metrics_file import read_metrics
from stylegan_lab.training import hardware
from tests.loggers.wandb_file import parts
from tests.refusals import assert_refused, refused
from tests.training.test_chaos import ALL, differences, final_state, logged_metrics
from tests.training.test_signals import LONG, metric_rows
from tests.training.train_process import TrainProcess

SHORT = [*ALL, "iterations=12", "model.pool_size=3"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of SHORT, without any fault."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = TrainProcess(SHORT, folder)
    assert process.wait() == 0, process.printed()
    return folder


def on_second_save(then: Callable[[], Any]) -> None:
    """Do something when the second checkpoint is on the disk."""
    settle, calls = CheckpointIndex.link_and_prune, [0]

    def settled(*arguments: Any, **named: Any) -> None:
        settle(*arguments, **named)
        calls[0] += 1
        if calls[0] == 2:
            then()

    CheckpointIndex.link_and_prune = settled  # type: ignore[method-assign]


def fill_the_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


def replace_checkpoints_with_a_file() -> None:
    Path("run/checkpoints").rename("run/moved")
    Path("run/checkpoints").touch()


def move_run_folder() -> None:
    Path("run").rename("moved")


def test_a_run_that_is_moved_while_it_is_trained_ends_and_goes_on_where_it_is(
    tmp_path: Path, uninterrupted: Path
) -> None:
    process = TrainProcess(SHORT, tmp_path, partial(on_second_save, move_run_folder))
    assert process.wait() == 2, process.printed()
    assert_refused(process.printed(), "run.folder_missing", f"{tmp_path}/run")
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    (tmp_path / "moved").rename(tmp_path / "run")
    assert TrainProcess(SHORT, tmp_path).wait() == 0
    assert differences(final_state(uninterrupted), final_state(tmp_path)) == []


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [(fill_the_disk, "File too large ("), (replace_checkpoints_with_a_file, "File exists")],
)
def test_a_disk_that_is_full_or_gone_costs_no_checkpoint(
    fault: Callable[[], None], sentence: str, tmp_path: Path, uninterrupted: Path
) -> None:
    process = TrainProcess(SHORT, tmp_path, partial(on_second_save, fault))
    assert process.wait() == 2, process.printed()
    assert_refused(process.printed(), "checkpoint.not_writable", "000008.ckpt", sentence)
    assert "Traceback" not in process.printed()
    if fault is replace_checkpoints_with_a_file:
        (tmp_path / "run/checkpoints").unlink()
        (tmp_path / "run/moved").rename(tmp_path / "run/checkpoints")
    else:
        assert "MB are free there). 000006.ckpt is kept; correct this and repeat the command" in process.printed()
    process = TrainProcess(SHORT, tmp_path)
    assert process.wait() == 0
    assert "6 of 12 iterations are done" in process.printed()
    assert differences(final_state(uninterrupted), final_state(tmp_path)) == [] and logged_metrics(
        uninterrupted
    ) == logged_metrics(tmp_path)


def test_a_record_on_a_full_disk_has_whole_lines_only(tmp_path: Path) -> None:
    log = JSONLLogger(tmp_path / "metrics.jsonl")
    log.log_metrics({"x": 1.0}, step=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 10, hard))
    try:
        with pytest.warns(UserWarning, match=r"metrics.jsonl: .*; iteration 2 is not logged"):
            log.log_metrics({"x": 2.0}, step=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.log_metrics({"x": 3.0}, step=3)
    assert log.path.read_text().count("\n") == 2
    assert [row["iteration"] for row in read_metrics(log.path)] == [1, 3]


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path) -> None:
    first = TrainProcess(LONG, tmp_path)
    first.wait_until(lambda: len(metric_rows(tmp_path)) > 1)
    second = TrainProcess(LONG, tmp_path)
    assert second.wait() == 2
    assert_refused(second.printed(), "run.locked", "run")
    first.kill(9)
    assert first.wait() == -9
    third = TrainProcess([*LONG, "iterations=2"], tmp_path)
    assert third.wait() == 0, "a dead process holds nothing"


def test_damaged_checkpoints_are_named_and_passed_over(tmp_path: Path, uninterrupted: Path) -> None:
    assert TrainProcess(
        SHORT, tmp_path, partial(on_second_save, partial(resource.setrlimit, resource.RLIMIT_FSIZE, (0, 0)))
    ).wait()
    newest_checkpoint, older = CheckpointIndex.read(tmp_path / "run" / "checkpoints").newest_first()
    newest_checkpoint.write_bytes(newest_checkpoint.read_bytes()[:-1] + b"?")
    process = TrainProcess(SHORT, tmp_path)
    assert process.wait() == 0, process.printed()
    assert f"{newest_checkpoint.name} damaged; resuming from {older.name}" in (tmp_path / "run" / "log.txt").read_text()
    assert differences(final_state(uninterrupted), final_state(tmp_path)) == [] and logged_metrics(
        uninterrupted
    ) == logged_metrics(tmp_path)
    for path in (tmp_path / "run" / "checkpoints").glob("*.ckpt"):
        path.write_bytes(b"")
    process = TrainProcess(SHORT, tmp_path)
    assert process.wait() == 2
    assert (
        "every checkpoint is damaged (000012.ckpt, 000009.ckpt). Start a new run in another folder" in process.printed()
    )


FRAGILE = """
    import os, signal, time
    from pathlib import Path
    from stylegan_lab.data.sampler import LambdaDataset
    from stylegan_lab.data.synthetic.scenes_datamodule import UnpairedScenesDataModule
    from stylegan_lab.images.image_io import read_image

    class FragileDataset(LambdaDataset):
        def __getitem__(self, draw):
            if draw[0] == 1:
                if Path("gone").exists():
                    read_image(Path("photo.png"))
                if Path("deadly").exists():
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(draw)

    class Fragile(UnpairedScenesDataModule):
        def train_samples(self):
            whole = super().train_samples()
            return FragileDataset(whole.count, whole.make)
"""


NOTES_ARE_SHOWN = sys.version_info >= (3, 11)  # in tracebacks, with which loader workers report errors


@pytest.mark.parametrize(
    ("fault", "num_workers", "code", "named"),
    [
        ("gone", 0, "image.not_found", "photo.png"),
        ("gone", 2, "image.not_found" if NOTES_ARE_SHOWN else "data.loading_failed", "photo.png"),
        ("deadly", 2, "data.worker_failed", "data.num_workers"),
    ],
)
def test_a_fault_in_the_data_is_told_and_everything_before_it_is_saved(
    fault: str, num_workers: int, code: str, named: str, tmp_path: Path, uninterrupted: Path
) -> None:
    (tmp_path / "fragile.py").write_text(textwrap.dedent(FRAGILE))
    (tmp_path / fault).touch()
    command = [*SHORT, "data._target_=fragile.Fragile", "trust=[fragile]", f"data.num_workers={num_workers}"]
    process = TrainProcess([*command, "callbacks.checkpointing.every=0"], tmp_path)
    assert process.wait() == 2, process.printed()
    assert_refused(process.printed(), code, named)
    assert "Traceback" not in process.printed()
    last_iteration = int(CheckpointIndex.read(tmp_path / "run" / "checkpoints").newest_first()[0].stem)
    assert f"{last_iteration:06d}.ckpt is kept; correct this and repeat the command" in process.printed()
    assert last_iteration == 8, "the whole first epoch"
    (tmp_path / fault).unlink()
    assert TrainProcess(command, tmp_path).wait() == 0
    assert differences(final_state(uninterrupted), final_state(tmp_path)) == [] and logged_metrics(
        uninterrupted
    ) == logged_metrics(tmp_path)


def test_too_little_shared_memory_is_told_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(64_000_000, 0, 64_000_000))
    hardware.check_shared_memory(workers=8, batch=4_000_000, folder=Path())
    with refused("device.shared_memory_too_small", "data.num_workers=9", "72 MB", "64 MB", "data.num_workers=8"):
        hardware.check_shared_memory(workers=9, batch=4_000_000, folder=Path())
    hardware.check_shared_memory(workers=9, batch=4_000_000, folder=Path("nowhere"))


def test_memory_that_runs_out_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CycleGAN, "training_step", lambda *_: torch.empty(10**15))
    assert run(["train", "experiment=smoke", "logger=none"]) == 2
    assert_refused(capsys.readouterr().err, "device.out_of_memory", "batches of 2 at 32 px", "precision=bf16")


def test_a_wandb_server_that_never_answers_delays_no_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        process = TrainProcess(
            [*SHORT, "logger=wandb", "logger.wandb.mode=online", "logger.wandb.patience=1"], tmp_path
        )
        assert process.wait() == 0, process.printed()
    warning = "warning: logger wandb: still logging after 1 s, stopped; metrics.jsonl is complete"
    assert [line for line in process.printed().splitlines() if "logger wandb" in line] == [warning]
    assert [row["iteration"] for row in metric_rows(tmp_path) if "loss/discriminators_a_real" in row] == list(
        range(1, 13)
    )


@pytest.mark.slow
def test_what_wandb_was_told_survives_a_kill_and_goes_on(tmp_path: Path) -> None:
    samples = [each for each in LONG if each != "callbacks.samples=null"] + ["callbacks.samples.every=20"]
    command = [*samples, "logger=both", "callbacks.checkpointing.every=5"]
    killed = TrainProcess(command, tmp_path)
    killed.wait_until(lambda: any(tmp_path.glob("run/wandb/offline-run-*/files/media/images/*")))
    killed.kill(signal.SIGKILL)
    killed.wait()
    told = [row["iteration"] for row in parts(tmp_path / "run", finished=False)[0].rows if "lr/discriminators" in row]
    assert len(told) >= 10 and told == list(range(1, len(told) + 1))
    played = len(metric_rows(tmp_path)) + 3
    assert TrainProcess([*command, f"iterations={played}"], tmp_path).wait() == 0
    first, second = parts(tmp_path / "run", finished=False)
    assert first.run.run_id == second.run.run_id and second.ended and not first.ended
    again = [row["iteration"] for row in second.rows if "lr/discriminators" in row]
    assert again == list(range(again[0], played + 1)) and again[0] <= len(told) + 1, "no iteration is missing"


@pytest.mark.parametrize("key", [True, False])
def test_wandb_is_offline_without_a_key_or_a_server(key: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    if key:
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    process = TrainProcess([*SHORT, "logger=wandb", "iterations=2"], tmp_path)
    assert process.wait(60) == 0, process.printed()
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
