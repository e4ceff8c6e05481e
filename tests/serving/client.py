"""A server of the page in a thread, and requests to it."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from stylegan_lab.serving.app import App
from stylegan_lab.serving.limits import Limits
from stylegan_lab.serving.served_model import ServedModel
from stylegan_lab.serving.server import PageServer
from stylegan_lab.training.loaded_model import LoadedModel

TIMEOUT = 30.0
BUFFER = 65536  # bytes that a socket holds, instead of as many as the machine likes
TICKET = "0123456789abcdef"


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> str:
        text: str = json.loads(self.body)["error"]
        return text


class Client:
    def __init__(self, server: PageServer) -> None:
        self.server = server

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, chunked: bool = False
    ) -> Answer:
        with closing(self.connect()) as connection:
            connection.request(method, path, body, dict(headers or {}), encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def image(
        self, image: bytes | None = None, reference: bytes | None = None, ticket: str = "", **fields: object
    ) -> Answer:
        body, headers = form(fields, image, reference)
        return self.request("POST", f"/image?ticket={ticket}", body, headers)

    def start(self, image: bytes, ticket: str = "", **fields: object) -> http.client.HTTPConnection:
        """Send a request, and do not wait for its answer."""
        connection = self.connect()
        body, headers = form(fields, image)
        connection.request("POST", f"/image?ticket={ticket}", body, headers)
        return connection

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=TIMEOUT)
        connection.connect()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        return connection

    def state(self, ticket: str = TICKET) -> dict[str, int]:
        state: dict[str, int] = json.loads(self.get(f"/queue/{ticket}").body)
        return state


def form(
    fields: Mapping[str, object], image: bytes | None = None, reference: bytes | None = None, name: str = "photo.png"
) -> tuple[bytes, dict[str, str]]:
    parts = [(f'name="{key}"', str(value).encode()) for key, value in fields.items()]
    files = {"image": image, "reference": reference}
    parts += [(f'name="{key}"; filename="{name}"', value) for key, value in files.items() if value is not None]
    body = b"".join(
        f"--frontier\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    )
    return body + b"--frontier--\r\n", {"Content-Type": "multipart/form-data; boundary=frontier"}


@contextmanager
def served(
    models: Sequence[LoadedModel], limits: Limits | None = None, host: str = "127.0.0.1", token: str | None = None
) -> Iterator[Client]:
    limits = limits or Limits()
    server = PageServer(App([ServedModel(model, limits) for model in models], limits), host, 0, token)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield Client(server)
    finally:
        server.stop()
        thread.join(2 * TIMEOUT)
    assert not thread.is_alive()


class Gate:
    """Holds a model at its first layer until it is opened, at the latest when the block ends."""

    def __init__(self, model: LoadedModel) -> None:
        self.opened, self.held = threading.Event(), threading.Event()
        network = getattr(model.module, model.module.ema_networks[0])
        self._hook = network.register_forward_pre_hook(self._wait)

    def __enter__(self) -> "Gate":
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

    def _wait(self, *_: Any) -> None:
        self.held.set()
        self.opened.wait()

    def open(self) -> None:
        self.opened.set()
        self._hook.remove()


def until(condition: Callable[[], object]) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < TIMEOUT
        time.sleep(0.01)
