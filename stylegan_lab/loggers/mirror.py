"""A mirror: any Lightning logger moved to a thread of its own, where it can neither stop nor delay a training."""

import queue
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
MOST_WAITING = 10_000  # calls; more are dropped
PATIENCE = 30.0  # seconds to finish writing at the end


class Mirror(Logger):
    """`make` builds the logger, on the thread. Its first error is told once, and ends the mirroring."""

    def __init__(self, name: str, make: Callable[[], Logger], patience: float = PATIENCE) -> None:
        super().__init__()
        self._name, self._make, self._patience = name, make, patience
        self._waiting: queue.Queue[Call | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._broken = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> None:
        return None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._send("log_metrics", dict(metrics), step=step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._send("log_hyperparams", params)

    def log_image(self, key: str, images: list[str], step: int | None = None) -> None:
        self._send("log_image", key, images, step=step)

    def log_cells(self, key: str, path: str, rows: int, columns: int, step: int | None = None) -> None:
        self._send("log_cells", key, path, rows, columns, step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Let the thread finish, but not for ever."""
        if self._thread is None:
            return
        self._send("finalize", status)
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            self._tell(f"still writing after {self._patience:.0f} s, left behind")
        self._thread = None

    @rank_zero_only
    def _send(self, method: str, *args: Any, **kwargs: Any) -> None:
        if self._broken:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"mirror-{self._name}", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait((method, args, kwargs))
        except queue.Full:
            self._broken = True
            self._tell("too slow to follow, left behind")

    def _work(self) -> None:
        try:
            logger = self._make()
            while (call := self._waiting.get()) is not None:
                method, args, kwargs = call
                if hasattr(logger, method):
                    getattr(logger, method)(*args, **kwargs)
        except BaseException as error:  # a library's sys.exit must not pass either
            self._broken = True
            self._tell(f"given up: {type(error).__name__}: {error}")

    def _tell(self, what: str) -> None:
        warnings.warn(f"logger {self._name}: {what}; the run's own record is complete", stacklevel=2)
