"""Python processes that start at once: they are forked from a server that has imported torch and Lightning.

`ForkedPopen` replaces `subprocess.Popen` in tests of processes, with the fixture `forked_processes`. It forks the commands
`python -m MODULE ...` and `python SCRIPT ...`, in which a process that the test starts may start others. Other commands are
started as usual. The package itself is not imported by the server, so that each process imports it anew.
"""

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
IMPORTED = ("torch", "torch.utils.data", "lightning.pytorch", "torchmetrics", "hydra", "hydra.main", "PIL.Image")
ANSWER_SIZE = 16  # bytes of a process id or exit code


class ForkedPopen(subprocess.Popen[Any]):
    address = ""  # the socket of the server

    def _execute_child(self, *given: Any) -> None:
        args, executable, preexec_fn, _, pass_fds, cwd, env = given[:7]
        (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite), start_new_session = given[10:16], given[21]
        words = python_arguments(args)
        if words is None or executable is not None or preexec_fn is not None:
            super()._execute_child(*given)  # type: ignore[misc]
            return
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(self.address)
        fds = [0 if p2cread == -1 else p2cread, 1 if c2pwrite == -1 else c2pwrite, 2 if errwrite == -1 else errwrite]
        socket.send_fds(self._server, [b"."], [*fds, *pass_fds])
        request = {
            "arguments": words,
            "folder": str(Path(cwd or ".").absolute()),
            "environment": dict(os.environ if env is None else env),
            "group": None if start_new_session else os.getpgrp(),
        }
        self._server.sendall(json.dumps(request).encode() + b"\n")
        self.pid = int(self._server.recv(ANSWER_SIZE))
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def _internal_poll(self, *given: Any, **named: Any) -> int | None:
        if not hasattr(self, "_server"):
            return super()._internal_poll(*given, **named)  # type: ignore[misc, no-any-return]
        with suppress(subprocess.TimeoutExpired):
            self._wait(0)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if not hasattr(self, "_server"):
            return super()._wait(timeout)  # type: ignore[misc, no-any-return]
        if self.returncode is None:
            if not select.select([self._server], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._server.recv(ANSWER_SIZE))
            self._server.close()
        return self.returncode


def python_arguments(command: Any) -> list[str] | None:
    """Return the module or script and its arguments, or None if the command does not run one with this Python."""
    words = list(map(str, command)) if isinstance(command, (list, tuple)) else []
    if not words or words[0] != sys.executable:
        return None
    words = words[2:] if words[1:2] == ["-u"] else words[1:]
    return words if words and (words[0] == "-m" or not words[0].startswith("-")) else None


@contextmanager
def running_server() -> Iterator[None]:
    """Start the server. It ends with the process that started it, because the pipe to its standard input is closed then."""
    with tempfile.TemporaryDirectory() as folder:
        ForkedPopen.address = f"{folder}/socket"
        code = f"from tests.fork_server import main; main({ForkedPopen.address!r})"
        server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE)
        try:
            while not Path(ForkedPopen.address).exists():
                assert server.poll() is None, "the server ended"
                time.sleep(0.05)
            yield
        finally:
            server.communicate()


def main(address: str) -> None:
    """Serve. In each forked process, `serve` returns what the process is to run."""
    for module in IMPORTED:
        import_module(module)
    arguments = serve(address)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def serve(address: str) -> list[str]:
    search_path = [each for each in sys.path[1:] if each not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.setpgid(0, 0)  # signals to the group of the tests are for the processes that the tests have started
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system removes the processes that have ended
    Path(f"{address}.new").rename(address)
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            os._exit(0)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            request = fork_for(connection)
            become(request, search_path)
            ForkedPopen.address = address
            subprocess.Popen = ForkedPopen  # type: ignore[misc]
            words: list[str] = request["arguments"]
            return words
        connection.close()


def fork_for(connection: socket.socket) -> dict[str, Any]:
    """Fork the process of a request, in which this returns the request. The parent reports its process id and its exit code."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, fds, _, _ = socket.recv_fds(connection, 1, 16)
    request: dict[str, Any] = json.loads(connection.makefile().readline())
    if (pid := os.fork()) == 0:
        connection.close()
        for number in range(3):
            os.dup2(fds[number], number)
            os.close(fds[number])
        return request
    for fd in fds:
        os.close(fd)
    with suppress(OSError):  # who started the process may have ended
        connection.sendall(f"{pid:{ANSWER_SIZE}}".encode())
        status = os.waitpid(pid, 0)[1]
        connection.sendall(f"{os.waitstatus_to_exitcode(status):{ANSWER_SIZE}}".encode())
    os._exit(0)


def become(request: dict[str, Any], search_path: list[str]) -> None:
    """Make this process like a new one: its signals, process group, folder, environment, search path and standard streams."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["group"] is None:
        os.setsid()
    else:
        with suppress(OSError):  # a group of another session
            os.setpgid(0, request["group"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    first = request["arguments"][0]
    folder = request["folder"] if first == "-m" else str(Path(first).absolute().parent)
    given = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    sys.path[:] = [folder, *given, *search_path]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
