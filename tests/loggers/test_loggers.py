"""Loggers: metrics.jsonl is complete, and no other logger can stop or delay a training."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, Logger
from omegaconf import DictConfig

from stylegan_lab.images.image_io import write_image
from stylegan_lab.loggers import wandb as wandb_module
from stylegan_lab.loggers.background_logger import PATIENCE, BackgroundLogger
from stylegan_lab.loggers.jsonl_logger import JSONLLogger
from stylegan_lab.loggers.tensorboard import tensorboard_logger
from stylegan_lab.runs.metrics_file import read_metrics, truncate_metrics
from stylegan_lab.runs.run import Run
from tests.wandb_server import WandbServer


def test_metrics_jsonl_has_a_line_per_call(tmp_path: Path) -> None:
    logger = JSONLLogger(tmp_path / "metrics.jsonl")
    logger.log_metrics({"loss/x": 1.5, "epoch": 0}, step=10)
    logger.log_metrics({"loss/x": 2.5}, step=20)
    rows = read_metrics(logger.path)
    assert [(row["iteration"], row["loss/x"]) for row in rows] == [(10, 1.5), (20, 2.5)]
    assert all("epoch" not in row for row in rows)


def test_an_incomplete_last_line_is_ignored_and_truncated(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"iteration": 10}\n{"iteration": 20}\n{"iteration": 30}\n{"itera')
    truncate_metrics(path, 20)
    assert [row["iteration"] for row in read_metrics(path)] == [10, 20]


def test_the_background_logger_passes_all_calls_on(tmp_path: Path) -> None:
    logger = BackgroundLogger("csv", lambda: CSVLogger(tmp_path, name="", version=""))
    for step in range(5):
        logger.log_metrics({"x": float(step)}, step=step)
    logger.finalize("success")
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 6


def test_the_error_of_a_logger_is_one_warning() -> None:
    def failing_logger() -> Logger:
        raise SystemExit("no account")

    logger = BackgroundLogger("broken", failing_logger)
    with pytest.warns(UserWarning, match="logger broken: stopped by SystemExit: no account"):
        logger.log_metrics({"x": 1.0}, step=1)
        logger.finalize("success")
    logger.log_metrics({"x": 1.0}, step=2)


def test_a_logger_that_hangs_is_stopped() -> None:
    released = threading.Event()

    class HangingLogger(CSVLogger):
        def log_metrics(self, *_: Any, **__: Any) -> None:
            released.wait()

    logger = BackgroundLogger("hanging", lambda: HangingLogger("."), patience=0.2)
    for step in range(100):
        logger.log_metrics({"x": 1.0}, step=step)
    thread = logger._thread
    with pytest.warns(UserWarning, match="logger hanging: still logging after"):
        logger.finalize("success")
    assert thread is not None and thread.is_alive(), "it hangs, and neither call has waited for it"
    released.set()
    thread.join()


def test_what_a_hanging_logger_left_running_is_ended_and_its_error_is_no_second_warning() -> None:
    ended = threading.Event()

    class HangingLogger(CSVLogger):
        def log_metrics(self, *_: Any, **__: Any) -> None:
            ended.wait(60)
            raise ConnectionError

    logger = BackgroundLogger("hanging", lambda: HangingLogger("."), patience=0.2, abandon=ended.set)
    logger.log_metrics({"x": 1.0}, step=1)
    thread = logger._thread
    with pytest.warns(UserWarning, match="hanging") as caught:
        logger.finalize("success")
        assert thread is not None
        thread.join()
    assert ended.is_set() and [str(each.message).split(";")[0] for each in caught] == [
        "logger hanging: still logging after 0 s, stopped"
    ]


def test_wandb_is_online_only_with_a_key_and_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not wandb_module.has_wandb_key() and wandb_module.resolve_mode("auto") == "offline"
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret")
        assert wandb_module.has_wandb_key() and wandb_module.resolve_mode("auto") == "offline", "nobody listens yet"
        server.listen()
        monkeypatch.setattr(wandb_module, "CONNECT_TIMEOUT", 0.2)
        assert wandb_module.resolve_mode("auto") == "offline", "it accepts connections, and never answers"
    monkeypatch.setattr(wandb_module, "CONNECT_TIMEOUT", 30)
    with WandbServer().serving() as answering:
        monkeypatch.setenv("WANDB_BASE_URL", answering.url)
        assert wandb_module.resolve_mode("auto") == "online"
    assert wandb_module.resolve_mode("offline") == "offline"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_module.resolve_mode("online") == "offline", "the environment's word is the last"


def test_a_hanging_wandb_leaves_two_of_ten_seconds_at_the_end_for_the_exit(
    monkeypatch: pytest.MonkeyPatch, compose_config: Callable[..., DictConfig]
) -> None:
    """The training waits for the logger, and the evaluation asks once more whether the server answers."""
    patience = compose_config("logger=wandb").logger.wandb.patience
    assert patience == PATIENCE and patience + wandb_module.CONNECT_TIMEOUT <= 8
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb_module, "_has_hung", False)
    monkeypatch.setattr(wandb_module, "end_wandb_service", lambda: None)  # other tests use it
    assert wandb_module.resolve_mode("online") == "online"
    wandb_module.abandon_wandb()
    assert wandb_module.resolve_mode("online") == "offline", "no second wait for the same server"


def test_tensorboard_has_scalars_and_images_by_iteration(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    image = write_image(torch.zeros(3, 8, 8), tmp_path / "p.png")
    logger = tensorboard_logger(Run(tmp_path))
    logger.log_metrics({"x": 2.0}, step=7)
    logger.log_image("samples", [str(image)], step=7)  # type: ignore[attr-defined]
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("x")] == [(7, 2.0)]
    assert [event.step for event in events.Images("samples")] == [7]


def test_a_run_keeps_its_wandb_id_when_its_folder_is_moved(tmp_path: Path) -> None:
    ids = [f"{number}" for number in range(3)]
    first = wandb_module._stored(tmp_path / "run" / "wandb" / "id", ids.pop)
    (tmp_path / "run").rename(tmp_path / "moved")
    assert wandb_module._stored(tmp_path / "moved" / "wandb" / "id", ids.pop) == first
    assert wandb_module._stored(tmp_path / "other" / "wandb" / "id", ids.pop) != first
