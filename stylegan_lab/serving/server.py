"""The web server that runs the app. It has one socket, does not log requests, and ends on Ctrl-C without waiting for the model."""

import asyncio
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from stylegan_lab.errors import UserError
from stylegan_lab.serving.access import LOCAL_NAMES, Access
from stylegan_lab.serving.app import App

ANY_ADDRESS = ("0.0.0.0", "::")
MAX_CONNECTIONS = 100
REQUEST_SECONDS = 10.0  # from the start of a connection to the head of its first request


class Connection(H11Protocol):
    """A connection that is closed if no request arrives in time. The app can close it earlier by calling `state.abort` of a
    request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}
        self.loop.call_later(REQUEST_SECONDS, self.end_if_unused)

    def end_if_unused(self) -> None:
        if self.cycle is None:
            self.transport.abort()


class PageServer:
    """The server of the page. It listens as soon as it is constructed.

    Args:
        token: The secret that clients have to send. It is required if the host is not this machine itself.
    """

    def __init__(self, app: App, host: str, port: int, token: str | None = None) -> None:
        if token is None and host not in LOCAL_NAMES:
            raise UserError("serve.no_token", f"--host={host}: other machines can connect, so give a --token")
        self.app, self.host, self.token = app, host, token
        self.socket = listen(host, port)
        self.port: int = self.socket.getsockname()[1]
        names = [host, socket.gethostname(), socket.getfqdn()] if token is not None else []
        config = uvicorn.Config(
            Access(app.asgi, names, token, self.port),
            http=Connection, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, limit_concurrency=MAX_CONNECTIONS, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self.server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        name = socket.gethostname() if self.host in ANY_ADDRESS else self.host
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{self.port}/" + ("" if self.token is None else f"?token={self.token}")

    def run(self) -> None:
        """Serve until `stop` is called, or until Ctrl-C, which is raised again."""
        try:
            self.server.run(sockets=[self.socket])
        finally:
            self.app.images.queue.close()
            self.socket.close()

    def stop(self) -> None:
        self.server.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        advice = "give another port, or 0 for a free one" if port else "give an address of this machine"
        raise UserError(
            "serve.address_unavailable", f"--host={host} --port={port} cannot be used: {error.strerror}; {advice}"
        ) from None
