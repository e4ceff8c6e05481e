"""An HTTP server on this machine that gives files, and misbehaves as it is told."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """What it has is in `files`; `asked` are the requests so far, each with its Range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.behaviour: dict[str, Callable[[BaseHTTPRequestHandler, bytes], None]] = {}
        self.ends = threading.Event()
        self.ranges = True

    def put(self, path: str, data: bytes, behaviour: "Callable[[Any, bytes], None] | None" = None) -> str:
        self.files[path] = data
        self.behaviour.pop(path, None)
        if behaviour:
            self.behaviour[path] = behaviour
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @contextmanager
    def serving(self) -> "Iterator[Server]":
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Range")))
                data = server.files.get(self.path, b"")
                behave = server.behaviour.get(self.path, server.give if self.path in server.files else failing(404))
                behave(self, data)

            def log_message(self, *_: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        self.port = http.server_port
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield self
        finally:
            self.ends.set()
            http.shutdown()
            http.server_close()

    def give(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        """As a good server: whole, or from where it is asked to go on if that is still the same file."""
        tag = f'"{hashlib.sha256(data).hexdigest()[:8]}"'
        begin = handler.headers.get("Range", "") if self.ranges else ""
        same = handler.headers.get("If-Range", tag) == tag
        start = int(begin.removeprefix("bytes=").rstrip("-")) if begin and same else 0
        if start and start >= len(data):
            return failing(416)(handler, data)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start:])
        return None

    def stalling(self, after: int) -> Callable[[Any, bytes], None]:
        """Sends so much, and then nothing, but keeps the line."""

        def behave(handler: BaseHTTPRequestHandler, data: bytes) -> None:
            heads(handler, len(data))
            handler.wfile.write(data[:after])
            handler.wfile.flush()
            self.ends.wait(20)

        return behave


def heads(
    handler: BaseHTTPRequestHandler, length: int | None, tag: str = '"one"', kind: str = "application/zip"
) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    if tag:
        handler.send_header("ETag", tag)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    handler.end_headers()


def cut(after: int, length: int | None = None, tag: str = '"one"') -> Callable[[Any, bytes], None]:
    """Ends before what it said (the whole, or `length`)."""

    def behave(handler: BaseHTTPRequestHandler, data: bytes) -> None:
        heads(handler, len(data) if length is None else length, tag)
        handler.wfile.write(data[:after])

    return behave


def failing(code: int) -> Callable[[Any, bytes], None]:
    def behave(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


def leading_to(url: str) -> Callable[[Any, bytes], None]:
    def behave(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave
