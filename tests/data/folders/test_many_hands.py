"""Work in many processes: a piece that kills, stalls or breaks its process is lost, and nothing else is."""

import os
import signal
import time

import pytest

from stylegan_lab.data.folders.many_hands import Lost, by_many_hands

KILLS, STALLS, FAILS = 3, 11, 17


def nasty(number: int) -> int:
    if number == KILLS:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == STALLS:
        time.sleep(60)
    if number == FAILS:
        raise ValueError("of no use")
    return number * number


def test_everything_comes_back_but_what_kills_stalls_or_fails() -> None:
    found = dict(by_many_hands(nasty, range(24), hands=2, patience=1.0))
    lost = {index: result for index, result in found.items() if isinstance(result, Lost)}
    assert lost == {
        KILLS: Lost("ends the process that reads it (SIGKILL)"),
        STALLS: Lost("is not read within 1 seconds"),
        FAILS: Lost("cannot be read: ValueError: of no use"),
    }
    assert {index: result for index, result in found.items() if index not in lost} == {
        index: index**2 for index in range(24) if index not in lost
    }


def test_no_process_is_left_when_the_rest_is_not_wanted() -> None:
    found = by_many_hands(where, range(100), hands=2, patience=9.0)
    _, process = next(found)
    found.close()  # as an interruption does
    assert isinstance(process, int)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def where(_: int) -> int:
    return os.getpid()


def test_of_nothing_comes_nothing() -> None:
    assert list(by_many_hands(nasty, [], hands=2, patience=1.0)) == []
