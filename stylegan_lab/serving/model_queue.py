"""The queue of requests for the single thread that runs the model. The request of a client that disconnects is removed from
the queue."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from stylegan_lab.serving.limits import Limits

Result = TypeVar("Result")


class QueueFullError(Exception):
    """Every place in the queue is taken. `retry_after` estimates the seconds until a place is free."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class ClientGoneError(Exception):
    """The client has disconnected, so nobody waits for the result."""


class TimeLimitError(Exception):
    """The model has worked on the request for longer than allowed."""


class Job:
    """One request in the queue. The model's thread calls `check` between layers, and `count_strip` after each strip of a
    large image."""

    def __init__(self) -> None:
        self.client_is_gone = False
        self.deadline = math.inf
        self.strips_done = self.strips = 0

    def check(self) -> None:
        if self.client_is_gone:
            raise ClientGoneError
        if time.monotonic() > self.deadline:
            raise TimeLimitError

    def count_strip(self, total: int) -> None:
        self.strips_done, self.strips = self.strips_done + 1, total
        self.check()


class ModelQueue:
    """Runs the requests one at a time, in the order in which their uploads are complete.

    All methods are called in the event loop. The work is done in one separate thread.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._admitted: list[Job] = []
        self._line: list[Job] = []  # jobs whose uploads are complete; the model works on the first
        self._latest_seconds = 1.0

    @contextmanager
    def place(self) -> Iterator[Job]:
        """Reserve the place of a request before its upload is read, so that the memory of all uploads is bounded."""
        if len(self._admitted) >= self._limits.queue:
            raise QueueFullError(math.ceil(self._latest_seconds))
        job = Job()
        self._admitted.append(job)
        try:
            yield job
        finally:
            job.client_is_gone = True
            self._admitted.remove(job)

    async def run(self, job: Job, work: Callable[[Job], Result], disconnect: "asyncio.Future[None]") -> Result:
        """Do the work of a job when its turn comes. Once `disconnect` is done, the work does not begin, or ends at the next
        layer."""
        turn = self._thread.submit(self._work, job, work)
        self._line.append(job)
        try:
            result = asyncio.wrap_future(turn)
            first: set[asyncio.Future[Any]] = {result, disconnect}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done():
                job.client_is_gone = True
                if turn.cancel():
                    raise ClientGoneError
            return await result
        finally:
            turn.cancel()
            self._line.remove(job)

    def _work(self, job: Job, work: Callable[[Job], Result]) -> Result:
        start = time.monotonic()
        job.deadline = start + self._limits.seconds
        try:
            job.check()
            return work(job)
        finally:
            self._latest_seconds = max(1.0, time.monotonic() - start)

    def state(self, job: Job) -> dict[str, int]:
        """Return the number of requests before this one, and the number of strips of a large image. Empty while the request
        uploads."""
        if job not in self._line:
            return {}
        return {"before": self._line.index(job), "done": job.strips_done, "total": job.strips}

    def close(self) -> None:
        """Stop waiting requests at once, and the running request at the next layer."""
        for job in self._admitted:
            job.client_is_gone = True
        self._thread.shutdown(wait=True, cancel_futures=True)
