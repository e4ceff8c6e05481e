"""Two gloo ranks on this machine, forked from the server that has imported torch and Lightning once."""

import os
import socket
from collections.abc import Callable
from typing import Any

import torch
import torch.multiprocessing as mp

from tests.training import train_process  # noqa: F401  says what the server of the forked processes imports


def run_two_ranks(function: Callable[..., None], *arguments: Any) -> None:
    """Call `function(rank, *arguments)` in each of two processes, whose environment is that of a rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(_run_rank, (port, function, arguments), nprocs=2, start_method="forkserver")


def _run_rank(rank: int, port: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "tests",
    }  # fmt: skip
    function(rank, *arguments)
