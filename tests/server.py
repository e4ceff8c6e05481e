"""A local HTTP server whose responses can be broken on purpose."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """Serves `files`. `requests` lists the requests so far, each with its Range header."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.responses: dict[str, Callable[[BaseHTTPRequestHandler, bytes], None]] = {}
        self.stopped = threading.Event()
        self.ranges = True

    def add_file(self, path: str, data: bytes, response: "Callable[[Any, bytes], None] | None" = None) -> str:
        self.files[path] = data
        self.responses.pop(path, None)
        if response:
            self.responses[path] = response
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @contextmanager
    def running(self) -> "Iterator[Server]":
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, self.headers.get("Range")))
                data = server.files.get(self.path, b"")
                respond = server.responses.get(
                    self.path, server.send_file if self.path in server.files else error_response(404)
                )
                respond(self, data)

            def log_message(self, *_: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        self.port = http.server_port
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield self
        finally:
            self.stopped.set()
            http.shutdown()
            http.server_close()

    def send_file(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        """Send the whole file, or the requested range if the file has not changed."""
        tag = f'"{hashlib.sha256(data).hexdigest()[:8]}"'
        begin = handler.headers.get("Range", "") if self.ranges else ""
        same = handler.headers.get("If-Range", tag) == tag
        start = int(begin.removeprefix("bytes=").rstrip("-")) if begin and same else 0
        if start and start >= len(data):
            return error_response(416)(handler, data)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start:])
        return None

    def stalled_response(self, after: int) -> Callable[[Any, bytes], None]:
        """Send `after` bytes, then nothing, and keep the connection open."""

        def respond(handler: BaseHTTPRequestHandler, data: bytes) -> None:
            send_headers(handler, len(data))
            handler.wfile.write(data[:after])
            handler.wfile.flush()
            self.stopped.wait(20)

        return respond


def send_headers(
    handler: BaseHTTPRequestHandler, length: int | None, tag: str = '"one"', kind: str = "application/zip"
) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    if tag:
        handler.send_header("ETag", tag)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()


def truncated_response(after: int, length: int | None = None, tag: str = '"one"') -> Callable[[Any, bytes], None]:
    """Send fewer bytes than announced (the whole file, or `length`)."""

    def respond(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        send_headers(handler, len(data) if length is None else length, tag)
        handler.wfile.write(data[:after])

    return respond


def error_response(code: int) -> Callable[[Any, bytes], None]:
    def respond(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return respond


def redirect(url: str) -> Callable[[Any, bytes], None]:
    def respond(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return respond
