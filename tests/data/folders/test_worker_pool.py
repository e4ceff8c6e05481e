"""Tasks in worker processes: one that kills, hangs or fails in its process is reported, and no other task is failed."""

import os
import signal
import time

import pytest

from stylegan_lab.data.folders.worker_pool import WorkerLost, map_in_workers

KILLS, HANGS, FAILS = 3, 11, 17


def harmful(number: int) -> int:
    if number == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == HANGS:
        time.sleep(60)
    if number == FAILS:
        raise ValueError("invalid")
    return number * number


def test_all_tasks_complete_except_those_that_kill_hang_or_fail() -> None:
    found = dict(map_in_workers(harmful, range(24), num_workers=2, timeout=1.0))
    failed = {index: result for index, result in found.items() if isinstance(result, WorkerLost)}
    assert failed == {
        KILLS: WorkerLost("ends the process that reads it (SIGKILL)"),
        HANGS: WorkerLost("is not read within 1 seconds"),
        FAILS: WorkerLost("cannot be read: ValueError: invalid"),
    }
    assert {index: result for index, result in found.items() if index not in failed} == {
        index: index**2 for index in range(24) if index not in failed
    }


def test_closing_the_iterator_ends_all_processes() -> None:
    found = map_in_workers(process_id, range(100), num_workers=2, timeout=9.0)
    _, process = next(found)
    found.close()  # as after an interruption
    assert isinstance(process, int)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def process_id(_: int) -> int:
    return os.getpid()


def test_no_tasks_give_no_results() -> None:
    assert list(map_in_workers(harmful, [], num_workers=2, timeout=1.0)) == []
