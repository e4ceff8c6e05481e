"""Shows a run in the browser: one page that refreshes itself, served on this machine only. The server never writes to the
run's folder."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stylegan_lab.errors import UserError
from stylegan_lab.reporting.comparison import ComparisonTableRow
from stylegan_lab.reporting.curves import PLOT, curve_panels
from stylegan_lab.reporting.html_page import image_bytes, read_image, render_page
from stylegan_lab.reporting.live_frame import format_score, progress_line
from stylegan_lab.reporting.live_run import LiveRun, RunSnapshot

HOST = "127.0.0.1"
OWN_NAMES = (HOST, "localhost")  # other names in a request are those of another site's page (DNS rebinding)
REFRESH_SECONDS = 3
REQUEST_TIMEOUT = 10.0  # seconds until a silent connection is closed


class WatchServer(ThreadingHTTPServer):
    """Answers GET requests for two routes: the page and the latest sample grid."""

    daemon_threads = True

    def __init__(self, run: LiveRun, port: int) -> None:
        self._run, self._lock = run, threading.Lock()  # one request at a time reads the run
        self._image: tuple[str, bytes] = ("", b"")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(
                "watch.address_unavailable",
                f"--port={port} cannot be used: {error.strerror}; give another port, or 0 for a free one",
            ) from None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def page(self) -> bytes:
        with self._lock:
            return run_page(self._run.read()).encode(errors="replace")

    def image(self) -> bytes | None:
        """The latest sample grid as WebP, or the previous grid if the latest cannot be read."""
        with self._lock:
            grids = reversed(self._run.read().record.samples.values())
            return next((data for path in list(grids)[:2] if (data := self._encode(path))), None)

    def _encode(self, path: Path) -> bytes | None:
        key = image_key(path)
        if key != self._image[0]:
            image = read_image(path)
            if image is None:
                return None
            self._image = key, image_bytes(image)
        return self._image[1]

    def handle_error(self, *args: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):  # the browser has closed the connection
            super().handle_error(*args)


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer
    timeout = REQUEST_TIMEOUT
    server_version, sys_version = "stylegan-lab", ""

    def do_GET(self) -> None:
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in OWN_NAMES:
            return self.send_error(403)
        route = urlsplit(self.path).path
        if route == "/":
            return self._send(self.server.page(), "text/html; charset=utf-8", "no-store")
        if route == "/samples" and (image := self.server.image()) is not None:
            return self._send(image, "image/webp", "max-age=3600")  # the page asks for each grid by another address
        return self.send_error(404)

    def _send(self, body: bytes, kind: str, caching: str) -> None:
        self.send_response(200)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": caching}
        for name, value in {**headers, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def run_page(snapshot: RunSnapshot) -> str:
    record, sample = snapshot.record, snapshot.sample
    rows = [ComparisonTableRow([record], record.folder.name, {})]
    return render_page(
        "live_run.html.j2",
        run=snapshot,
        progress=progress_line(snapshot),
        rows=rows,
        scores=[(score.name, format_score(score)) for score in snapshot.scores],
        sample_address=f"/samples?{image_key(sample)}" if sample else "",
        curve_groups=curve_panels(rows),
        plot=PLOT,
        data={"refresh_seconds": REFRESH_SECONDS},
    )


def image_key(path: Path) -> str:
    """A key that changes when the file is written again."""
    try:
        return f"{path.stem}-{path.stat().st_mtime_ns}"
    except OSError:
        return path.stem
