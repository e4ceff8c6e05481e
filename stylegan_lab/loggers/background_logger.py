"""BackgroundLogger: runs any Lightning logger in its own thread, so that it can neither stop nor delay a training."""

import queue
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
MAX_QUEUED_CALLS = 10_000  # the logger is given up if there are more
PATIENCE = 5.0  # seconds to finish logging at the end; the process is to end ten seconds after its last iteration


class BackgroundLogger(Logger):
    """Passes calls to a logger that `make` builds in a thread, so that the training does not wait for it.

    After its first error, a warning is written and nothing more is logged. `abandon` is called for a logger that hangs; without
    it, this process would wait for the logger when it exits.
    """

    name, version = "", None

    def __init__(
        self,
        name: str,
        make: Callable[[], Logger],
        patience: float = PATIENCE,
        abandon: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.name, self._make, self._patience, self._abandon = name, make, patience, abandon
        self._queue: queue.Queue[Call | None] = queue.Queue(MAX_QUEUED_CALLS)
        self._thread: threading.Thread | None = None
        self._broken = False

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
        """Wait for the thread, at most `patience` seconds."""
        if self._thread is None:
            return
        self._send("finalize", status)
        with suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(self._patience)
        if self._thread.is_alive():
            self._broken = True  # what the thread meets from now on needs no second warning
            self._warn(f"still logging after {self._patience:.0f} s, stopped")
            self._abandon()
        self._thread = None

    @rank_zero_only
    def _send(self, method: str, *args: Any, **kwargs: Any) -> None:
        if self._broken:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"logger-{self.name}", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((method, args, kwargs))
        except queue.Full:
            self._broken = True
            self._warn("too slow, stopped")

    def _run(self) -> None:
        try:
            logger = self._make()
            while (call := self._queue.get()) is not None:
                method, args, kwargs = call
                if hasattr(logger, method):
                    getattr(logger, method)(*args, **kwargs)
        except BaseException as error:  # including a library's sys.exit
            if self._broken:
                return
            self._broken = True
            self._warn(f"stopped by {type(error).__name__}: {error}")

    def _warn(self, problem: str) -> None:
        warnings.warn(f"logger {self.name}: {problem}; metrics.jsonl is complete", stacklevel=1)
