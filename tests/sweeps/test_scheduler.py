"""The scheduler's parts: the live table, the device pool, and the follower of a growing metrics.jsonl."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from stylegan_lab.runs.metrics_file import MetricsFollower
from stylegan_lab.sweeps.live_table import LiveTable
from stylegan_lab.sweeps.scheduler import DevicePool
from tests.sweeps.test_sweep_report import make_trial


def test_the_live_table_shows_scores_states_and_time_left() -> None:
    output = io.StringIO()
    table = LiveTable({"val/ssim": "higher"}, 4, 1, Console(file=output, force_terminal=True, width=120))
    complete, running = make_trial(0, 0.25, a="1"), make_trial(1, 0.5, None, "running", a="2")
    complete.seconds, running.seconds, running.iteration, running.max_iterations = 60.0, 30.0, 10, 20
    table.trial_started(complete)
    table.trial_started(running)
    table.close()
    expected = ("val/ssim ↑", "a=1", "complete", "0.25", "10/20", "0:00:30", "1 of 4 trials", "about 0:02:30 left")
    for text in expected:
        assert text in output.getvalue()


def test_trials_get_separate_gpus_as_long_as_there_are_enough() -> None:
    devices = DevicePool(["0", "1", "2"], n_jobs=3, gpus_per_trial=2)
    first, second = devices.acquire(), devices.acquire()
    assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("0,1", "0,2")
    devices.release(first)
    assert devices.acquire()["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert DevicePool(["0", "1", "2", "3"], 2, None).acquire()["CUDA_VISIBLE_DEVICES"] == "0,1", "an equal share"
    assert DevicePool([], 1, 2).acquire() == {}, "without GPUs, a single trial keeps all cores"


def test_parallel_trials_share_the_cores_that_the_sweep_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.sweeps.scheduler.num_cores", lambda: 7)
    monkeypatch.setattr("stylegan_lab.cores.num_cores", lambda: 7)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert DevicePool([], 2, None).acquire() == {"STYLEGAN_LAB_CORES": "3", "OMP_NUM_THREADS": "3"}
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert DevicePool([], 2, None).acquire() == {"STYLEGAN_LAB_CORES": "3", "OMP_NUM_THREADS": "1"}


def test_a_truncated_metrics_file_is_read_from_the_start() -> None:
    path, follower = Path("metrics.jsonl"), MetricsFollower(Path())
    path.write_text('{"iteration": 1}\n{"iteration": 2}\n{"itera')
    assert [row["iteration"] for row in follower.new_rows()] == [1, 2]
    path.write_text('{"iteration": 1}\n')
    assert [row["iteration"] for row in follower.new_rows()] == [1]
    with path.open("a") as file:
        file.write('{"iteration": 2}\n')
    assert [row["iteration"] for row in follower.new_rows()] == [2]
