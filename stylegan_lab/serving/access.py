"""Restricts access to the server by host name, origin of the request and token. Also defines the headers of all responses."""

import hmac
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TOKEN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>Token needed</title><h1>Token needed</h1>
<p>Open the address that <code>stylegan-lab serve</code> printed; it ends with <code>?token=...</code></p>
<p>If you have just done so: <a href="/">continue</a>.</p></html>"""


class Access:
    """Checks every request before the app sees it.

    Args:
        names: Host names that requests may use besides the names of this machine itself. With a token, IP addresses
            are allowed too.
        token: The secret that a client has to send, or None. A browser sends it once in the address and afterwards as
            a cookie. Programs can send the header `Authorization: Bearer TOKEN`.
        port: The port of the server. It is part of the cookie's name, because browsers send cookies to all ports of a
            host.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = (), token: str | None = None, port: int = 0) -> None:
        self.app, self.names, self.token = app, {*LOCAL_NAMES, *(name.lower() for name in names)}, token
        self.cookie = f"stylegan_lab_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self.answer(Request(scope)) or self.app
        await app(scope, receive, send_with_headers)

    def answer(self, request: Request) -> Response | None:
        """Return the response that refuses a request, or None if the app may answer it."""
        host = request.headers.get("host", "")
        if not self.is_own(host):
            return _refused(403, f"{host or 'a request without a host'} is not a name of this server")
        origin = request.headers.get("origin")
        if request.method not in ("GET", "HEAD") and origin not in (None, f"http://{host}", f"https://{host}"):
            return _refused(403, "this request comes from a page of another site")
        return None if self.token is None else self.check_token(request, self.token)

    def is_own(self, host: str) -> bool:
        """Return whether the request names this server as its host.

        Another site can make its own host name point to this server (DNS rebinding), but it cannot do so with an IP address.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self.names or (self.token is not None and bool(ipaddress.ip_address(name)))
        except ValueError:
            return False

    def check_token(self, request: Request, token: str) -> Response | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else request.cookies.get(self.cookie, "")
        if request.method == "GET" and request.url.path == "/" and "token" in request.query_params:
            given = request.query_params["token"]
        if not hmac.compare_digest(given.encode(errors="replace"), token.encode()):
            if request.method == "GET" and request.url.path == "/":
                return HTMLResponse(TOKEN_PAGE, 401)
            return _refused(401, "a token is needed; open the address that stylegan-lab serve printed")
        if "token" not in request.query_params:
            return None
        response = RedirectResponse("/", 303)
        response.set_cookie(self.cookie, token, httponly=True, samesite="strict")
        return response


def _refused(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status)
