"""Spawning: processes of one training that do not repeat the command, for a program that calls this one and must not run twice."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from stylegan_lab.cli.passing_on import passing_on
from stylegan_lab.cli.together import GRACE
from stylegan_lab.mistake import Mistake


def is_spawned() -> bool:
    return "LOCAL_RANK" in os.environ


def spawn(arguments: Sequence[str], ranks: int) -> None:
    """`train` with these arguments in so many processes. Leaves as the first of them did."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(ranks), "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    context = multiprocessing.get_context("spawn")
    started: list[Any] = [
        context.Process(target=_train, args=(list(arguments), shared | {"LOCAL_RANK": str(rank)}))
        for rank in range(ranks)
    ]
    with passing_on() as passing:
        for process in started:
            process.start()
            passing.to(process.pid)
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            _join(started)
        finally:
            signal.signal(signal.SIGINT, interrupt)
    _leave_as(started)


def _train(arguments: list[str], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    from stylegan_lab.cli.main import run

    sys.exit(run(["train", *arguments]))


def _join(started: Sequence[BaseProcess]) -> None:
    while alive := [process.sentinel for process in started if process.is_alive()]:
        multiprocessing.connection.wait(alive)
        if any(process.exitcode for process in started):
            for process in started:
                process.join(GRACE)
                process.kill()


def _leave_as(started: Sequence[BaseProcess]) -> None:
    codes = [process.exitcode or 0 for process in started]
    killed = [(rank, code) for rank, code in enumerate(codes) if code < 0]
    if killed:
        rank, code = killed[0]
        raise Mistake(
            f"rank {rank} of this training was ended by {signal.Signals(-code).name}; repeat the command to go on"
        )
    if any(codes):
        raise SystemExit(codes[0] or max(codes))
