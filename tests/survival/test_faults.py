"""What breaks from outside: full disks, folders and pictures that are gone, dead workers, servers that hang. Each is told in
a sentence, and nothing that was saved is lost."""

import resource
import shutil
import signal
import socket
import textwrap
import time
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan_lab import hardware
from stylegan_lab.cli.main import run
from stylegan_lab.loggers.record import Record, read_record
from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.cyclegan import CycleGAN
from tests.loggers.wandb_file import parts
from tests.survival.attempts import Attempt
from tests.survival.test_chaos import ALL, differences, record, state
from tests.survival.test_signals import LONG, rows

SHORT = [*ALL, "iterations=12", "model.pool_size=3"]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runs of this file end as, if left in peace."""
    folder = tmp_path_factory.mktemp("calm")
    attempt = Attempt(SHORT, folder)
    assert attempt.wait() == 0, attempt.said()
    return folder


def once_saved(then: Callable[[], Any]) -> None:
    """Do something when the second checkpoint is on the disk."""
    settle, calls = Manifest.settle, [0]

    def settled(*arguments: Any, **named: Any) -> None:
        settle(*arguments, **named)
        calls[0] += 1
        if calls[0] == 2:
            then()

    Manifest.settle = settled  # type: ignore[method-assign]


def fill_the_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))


def take_the_folder_away() -> None:
    Path("run/checkpoints").rename("run/moved")
    Path("run/checkpoints").touch()


def move_the_run_away() -> None:
    Path("run").rename("moved")


def test_a_run_that_is_moved_while_it_is_trained_ends_and_goes_on_where_it_is(tmp_path: Path, calm: Path) -> None:
    attempt = Attempt(SHORT, tmp_path, partial(once_saved, move_the_run_away))
    assert attempt.wait() == 2, attempt.said()
    assert f"{tmp_path}/run is gone; it was moved or deleted while it was being trained" in attempt.said()
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    (tmp_path / "moved").rename(tmp_path / "run")
    assert Attempt(SHORT, tmp_path).wait() == 0
    assert differences(state(calm), state(tmp_path)) == []


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [(fill_the_disk, "File too large ("), (take_the_folder_away, "File exists")],
)
def test_a_disk_that_is_full_or_gone_costs_no_checkpoint(
    fault: Callable[[], None], sentence: str, tmp_path: Path, calm: Path
) -> None:
    attempt = Attempt(SHORT, tmp_path, partial(once_saved, fault))
    assert attempt.wait() == 2, attempt.said()
    assert "000008.ckpt cannot be written: " in attempt.said() and sentence in attempt.said()
    assert "Traceback" not in attempt.said()
    if fault is take_the_folder_away:
        (tmp_path / "run/checkpoints").unlink()
        (tmp_path / "run/moved").rename(tmp_path / "run/checkpoints")
    else:
        assert "MB are free there). 000006.ckpt is kept; mend it and repeat the command" in attempt.said()
    attempt = Attempt(SHORT, tmp_path)
    assert attempt.wait() == 0
    assert "6 of 12 iterations are played" in attempt.said()
    assert differences(state(calm), state(tmp_path)) == [] and record(calm) == record(tmp_path)


def test_a_record_on_a_full_disk_has_whole_lines_only(tmp_path: Path) -> None:
    log = Record(tmp_path / "metrics.jsonl")
    log.log_metrics({"x": 1.0}, step=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 10, hard))
    try:
        with pytest.warns(UserWarning, match=r"metrics.jsonl: .*; iteration 2 is missing from it"):
            log.log_metrics({"x": 2.0}, step=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.log_metrics({"x": 3.0}, step=3)
    assert log.path.read_text().count("\n") == 2
    assert [row["iteration"] for row in read_record(log.path)] == [1, 3]


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path) -> None:
    first = Attempt(LONG, tmp_path)
    first.wait_until(lambda: len(rows(tmp_path)) > 1)
    second = Attempt(LONG, tmp_path)
    assert second.wait() == 2
    assert "run is being trained by another process" in second.said()
    first.kill(9)
    assert first.wait() == -9
    third = Attempt([*LONG, "iterations=2"], tmp_path)
    assert third.wait() == 0, "a dead process holds nothing"


def test_damaged_checkpoints_are_named_and_passed_over(tmp_path: Path, calm: Path) -> None:
    assert Attempt(
        SHORT, tmp_path, partial(once_saved, partial(resource.setrlimit, resource.RLIMIT_FSIZE, (0, 0)))
    ).wait()
    newest, older = Manifest.of(tmp_path / "run" / "checkpoints").newest_first()
    newest.write_bytes(newest.read_bytes()[:-1] + b"?")
    attempt = Attempt(SHORT, tmp_path)
    assert attempt.wait() == 0, attempt.said()
    assert f"{newest.name} damaged; going back to {older.name}" in (tmp_path / "run" / "log.txt").read_text()
    assert differences(state(calm), state(tmp_path)) == [] and record(calm) == record(tmp_path)
    for path in (tmp_path / "run" / "checkpoints").glob("*.ckpt"):
        path.write_bytes(b"")
    attempt = Attempt(SHORT, tmp_path)
    assert attempt.wait() == 2
    assert "every checkpoint is damaged (000012.ckpt, 000009.ckpt); nothing is left to go on from" in attempt.said()


FRAGILE = """
    import os, signal, time
    from pathlib import Path
    from stylegan_lab.data.scenes_data import UnpairedDomains, UnpairedScenes
    from stylegan_lab.images.read import read_picture

    class Samples(UnpairedDomains):
        def __getitem__(self, draw):
            if draw[0] == 1:
                if Path("gone").exists():
                    read_picture(Path("photo.png"))
                if Path("deadly").exists():
                    os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(draw)

    class Fragile(UnpairedScenes):
        def train_samples(self):
            whole = super().train_samples()
            return Samples(whole.a, whole.b, self.seed)
"""


@pytest.mark.parametrize(
    ("fault", "workers", "sentence"),
    [
        ("gone", 0, "photo.png does not exist"),
        ("gone", 2, "photo.png does not exist"),
        ("deadly", 2, "exited unexpectedly; it was killed, most often for want of memory"),
    ],
)
def test_a_fault_in_the_data_is_told_and_everything_before_it_is_saved(
    fault: str, workers: int, sentence: str, tmp_path: Path, calm: Path
) -> None:
    (tmp_path / "fragile.py").write_text(textwrap.dedent(FRAGILE))
    (tmp_path / fault).touch()
    command = [*SHORT, "data._target_=fragile.Fragile", "trust=[fragile]", f"data.workers={workers}"]
    attempt = Attempt([*command, "callbacks.checkpoints.every=0"], tmp_path)
    assert attempt.wait() == 2, attempt.said()
    assert sentence in attempt.said() and "Traceback" not in attempt.said()
    left = int(Manifest.of(tmp_path / "run" / "checkpoints").newest_first()[0].stem)
    assert f"{left:06d}.ckpt is kept; mend it and repeat the command" in attempt.said()
    assert left == 8, "the whole first epoch"
    (tmp_path / fault).unlink()
    assert Attempt(command, tmp_path).wait() == 0
    assert differences(state(calm), state(tmp_path)) == [] and record(calm) == record(tmp_path)


def test_too_little_shared_memory_is_told_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(64_000_000, 0, 64_000_000))
    hardware.check_shared_memory(workers=8, batch=4_000_000, folder=Path())
    with pytest.raises(
        Mistake, match=r"data.workers=9 need 72 MB of shared memory, and \. has 64 MB free; give data.workers=8"
    ):
        hardware.check_shared_memory(workers=9, batch=4_000_000, folder=Path())
    hardware.check_shared_memory(workers=9, batch=4_000_000, folder=Path("nowhere"))


def test_memory_that_runs_out_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CycleGAN, "training_step", lambda *_: torch.empty(10**15))
    assert run(["train", "experiment=smoke", "logger=none"]) == 2
    assert "out of memory on cpu with batches of 2 at 32 px; give precision=bf16" in capsys.readouterr().err


def test_a_wandb_server_that_never_answers_delays_no_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        attempt = Attempt([*SHORT, "logger=wandb", "logger.wandb.patience=1"], tmp_path)
        assert attempt.wait() == 0, attempt.said()
    assert time.monotonic() - began < 60, "not the minutes that W&B would wait"
    assert "logger wandb: still writing after 1 s, left behind" in attempt.said()
    assert [row["iteration"] for row in rows(tmp_path) if "loss/critics_a_real" in row] == list(range(1, 13))


@pytest.mark.slow
def test_what_wandb_was_told_survives_a_kill_and_goes_on(tmp_path: Path) -> None:
    samples = [each for each in LONG if each != "callbacks.samples=null"] + ["callbacks.samples.every=20"]
    command = [*samples, "logger=both", "callbacks.checkpoints.every=5"]
    killed = Attempt(command, tmp_path)
    killed.wait_until(lambda: any(tmp_path.glob("run/wandb/offline-run-*/files/media/images/*")))
    killed.kill(signal.SIGKILL)
    killed.wait()
    told = [row["iteration"] for row in parts(tmp_path / "run", whole=False)[0].rows if "rate/critics" in row]
    assert len(told) >= 10 and told == list(range(1, len(told) + 1))
    played = len(rows(tmp_path)) + 3
    assert Attempt([*command, f"iterations={played}"], tmp_path).wait() == 0
    first, second = parts(tmp_path / "run", whole=False)
    assert first.run.run_id == second.run.run_id and second.ended and not first.ended
    again = [row["iteration"] for row in second.rows if "rate/critics" in row]
    assert again == list(range(again[0], played + 1)) and again[0] <= len(told) + 1, "no iteration is missing"


@pytest.mark.parametrize("key", [True, False])
def test_wandb_is_offline_without_a_key_or_a_server(key: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    if key:
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    attempt = Attempt([*SHORT, "logger=wandb"], tmp_path)
    assert attempt.wait(60) == 0, attempt.said()
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))
