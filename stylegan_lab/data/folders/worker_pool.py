"""A process pool that survives the loss of its workers. If a task crashes or hangs its worker, this is reported, and no other task
is lost."""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from stylegan_lab.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")
QUEUE_DEPTH = 4  # tasks sent to a worker ahead, so that it never waits for more
POLL_SECONDS = 1.0  # how often timeouts are checked


class WorkerLost(NamedTuple):
    """The result of a task that no worker completed."""

    reason: str


def map_in_workers(
    function: Callable[[Task], Result], tasks: Sequence[Task], num_workers: int, timeout: float
) -> Iterator[tuple[int, Result | WorkerLost]]:
    """Yield the index and the result of each task, in the order in which tasks are completed.

    The result is WorkerLost if the worker of a task died or took longer than `timeout` seconds. The worker is then replaced, and
    its other tasks are given to the workers again.
    """
    waiting = deque(enumerate(tasks))
    workers = [_Worker(function) for _ in range(min(num_workers, len(tasks)))]
    try:
        while waiting or any(worker.pending for worker in workers):
            for worker in workers:
                worker.fill(waiting)
            wait([worker.connection for worker in workers], timeout=POLL_SECONDS)
            for number, worker in enumerate(workers):
                yield from worker.results()
                if (reason := worker.failure(timeout)) is not None:
                    worker.end()
                    workers[number] = _Worker(function)
                    waiting.extendleft(reversed(worker.pending))
                    if worker.pending:
                        yield waiting.popleft()[0], WorkerLost(reason)
    finally:
        for worker in workers:
            worker.end()


class _Worker(Generic[Task, Result]):
    """A process, the connection to it, and the tasks sent to it."""

    def __init__(self, function: Callable[[Task], Result]) -> None:
        context = _context(function)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.pending: deque[tuple[int, Task]] = deque()
        self.ready = self.dead = False
        self.since = time.monotonic()  # when the first pending task began

    def fill(self, waiting: deque[tuple[int, Task]]) -> None:
        while waiting and len(self.pending) < QUEUE_DEPTH:
            if not self.pending:
                self.since = time.monotonic()
            self.pending.append(waiting.popleft())
            with suppress(OSError):  # the process is dead, which `results` notices
                self.connection.send(self.pending[-1])

    def results(self) -> Iterator[tuple[int, Result | WorkerLost]]:
        try:
            while self.connection.poll():
                result = self.connection.recv()
                self.since = time.monotonic()
                if not self.ready:
                    self.ready = True
                    continue
                yield self.pending.popleft()[0], result
        except (EOFError, OSError):
            self.dead = True

    def failure(self, timeout: float) -> str | None:
        """Why the first pending task failed, if the process died or exceeded the timeout."""
        if self.dead:
            self.process.join()
            if not self.ready:
                raise UserError(
                    "data.worker_failed",
                    f"a process that reads images ended while it was starting ({_ending(self.process.exitcode)})",
                )
            return f"ends the process that reads it ({_ending(self.process.exitcode)})"
        if self.ready and self.pending and time.monotonic() - self.since > timeout:
            return f"is not read within {timeout:g} seconds"
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _context(function: Callable[[Any], Any]) -> Any:
    """A plain fork would inherit the locks of other threads, such as that of a progress bar."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([getattr(function, "func", function).__module__])  # imported once for all workers
    return context


def _serve(connection: "Connection[Any, Any]", function: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main process ends the workers
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # the kernel kills workers first when memory runs out
    with suppress(EOFError, OSError):  # the main process is gone
        connection.send("ready")
        while True:
            _, task = connection.recv()
            try:
                result = function(task)
            except Exception as error:
                result = WorkerLost(f"cannot be read: {type(error).__name__}: {error}")
            connection.send(result)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
