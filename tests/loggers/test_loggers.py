"""Loggers: the record is complete, and no mirror can stop or delay a training."""

import socket
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, Logger

from stylegan_lab.images.write import write_picture
from stylegan_lab.loggers import wandb as wandb_module
from stylegan_lab.loggers.mirror import Mirror
from stylegan_lab.loggers.record import Record, cut_record, read_record
from stylegan_lab.loggers.tensorboard import tensorboard_logger
from stylegan_lab.runs import Run


def test_the_record_is_one_line_for_each_time(tmp_path: Path) -> None:
    record = Record(tmp_path / "metrics.jsonl")
    record.log_metrics({"loss/x": 1.5, "epoch": 0}, step=10)
    record.log_metrics({"loss/x": 2.5}, step=20)
    rows = read_record(record.path)
    assert [(row["iteration"], row["loss/x"]) for row in rows] == [(10, 1.5), (20, 2.5)]
    assert all("epoch" not in row for row in rows)


def test_a_record_cut_off_while_written_is_read_and_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"iteration": 10}\n{"iteration": 20}\n{"iteration": 30}\n{"itera')
    cut_record(path, 20)
    assert [row["iteration"] for row in read_record(path)] == [10, 20]


def test_a_mirror_passes_everything_on(tmp_path: Path) -> None:
    mirror = Mirror("csv", lambda: CSVLogger(tmp_path, name="", version=""))
    for step in range(5):
        mirror.log_metrics({"x": float(step)}, step=step)
    mirror.finalize("success")
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 6


def test_a_mirror_s_error_is_a_warning_told_once() -> None:
    def broken() -> Logger:
        raise SystemExit("no account")

    mirror = Mirror("broken", broken)
    with pytest.warns(UserWarning, match="logger broken: given up: SystemExit: no account"):
        mirror.log_metrics({"x": 1.0}, step=1)
        mirror.finalize("success")
    mirror.log_metrics({"x": 1.0}, step=2)


def test_a_mirror_that_hangs_is_left_behind() -> None:
    class Hanging(CSVLogger):
        def log_metrics(self, *_: Any, **__: Any) -> None:
            time.sleep(60)

    mirror = Mirror("hanging", lambda: Hanging("."), patience=0.2)
    began = time.monotonic()
    for step in range(100):
        mirror.log_metrics({"x": 1.0}, step=step)
    with pytest.warns(UserWarning, match="logger hanging: still writing after"):
        mirror.finalize("success")
    assert time.monotonic() - began < 30, "not the minute it hangs"


def test_wandb_is_online_only_with_a_key_and_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not wandb_module.has_key() and wandb_module.decided("auto") == "offline"
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret")
        assert wandb_module.has_key() and wandb_module.decided("auto") == "offline", "nobody listens yet"
        server.listen()
        assert wandb_module.decided("auto") == "online"
    assert wandb_module.decided("offline") == "offline"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_module.decided("online") == "offline", "the environment's word is the last"


def test_tensorboard_has_curves_and_pictures_by_our_counter(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    picture = write_picture(torch.zeros(3, 8, 8), tmp_path / "p.png")
    logger = tensorboard_logger(Run(tmp_path))
    logger.log_metrics({"x": 2.0}, step=7)
    logger.log_image("samples", [str(picture)], step=7)  # type: ignore[attr-defined]
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("x")] == [(7, 2.0)]
    assert [event.step for event in events.Images("samples")] == [7]


def test_a_run_keeps_its_wandb_id_for_as_long_as_its_folder_lives(tmp_path: Path) -> None:
    ids = [f"{number}" for number in range(3)]
    first = wandb_module._kept(tmp_path / "run" / "wandb" / "id", ids.pop)
    (tmp_path / "run").rename(tmp_path / "moved")
    assert wandb_module._kept(tmp_path / "moved" / "wandb" / "id", ids.pop) == first
    assert wandb_module._kept(tmp_path / "other" / "wandb" / "id", ids.pop) != first
