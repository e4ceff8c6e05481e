"""The cores that a process may use, and the threads that processes side by side get, as their environment says."""

import os
import sys
from pathlib import Path

import pytest
import torch

from stylegan_lab import cores
from stylegan_lab.cores import cpu_quota, num_cores, threads_per_process
from stylegan_lab.training.hardware import limit_threads
from stylegan_lab.training.rank_watchdog import spawn_ranks


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "cpu_quota", lambda: float("inf"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, float("inf")),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu.max": "250000 100000\n"}, 2.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
    ],
)
def test_the_quota_of_a_container(files: dict[str, str], expected: float, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == expected


def test_cores_are_limited_by_affinity_quota_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    assert num_cores() == 8
    monkeypatch.setattr(cores, "cpu_quota", lambda: 2.5)
    assert num_cores() == 2
    monkeypatch.setattr(cores, "cpu_quota", lambda: 0.5)
    assert num_cores() == 1
    monkeypatch.setattr(cores, "cpu_quota", lambda: 5.0)
    monkeypatch.setenv("STYLEGAN_LAB_CORES", "3")
    assert num_cores() == 3


def test_processes_share_the_cores_and_the_user_s_number_of_threads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [threads_per_process(number) for number in (1, 2, 3, 16)] == ["8", "4", "2", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads_per_process(2) == "5"


def test_ranks_see_their_share_of_the_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$OMP_NUM_THREADS $LOCAL_WORLD_SIZE" > rank$LOCAL_RANK\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    spawn_ranks(["experiment=smoke"], 2)
    assert [Path(f"rank{rank}").read_text() for rank in (0, 1)] == ["4 2\n"] * 2


def test_torch_uses_no_more_threads_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        monkeypatch.setattr(cores, "cpu_quota", lambda: 1.0)
        torch.set_num_threads(2)
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        limit_threads()
        assert torch.get_num_threads() == 2, "the user's number"
        monkeypatch.delenv("OMP_NUM_THREADS")
        limit_threads()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
