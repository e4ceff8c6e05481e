"""The routes of the server: the page and its files, images, and the state of the queue."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stylegan_lab.errors import UserError
from stylegan_lab.reporting.html_page import TEMPLATES
from stylegan_lab.serving.limits import Limits
from stylegan_lab.serving.model_queue import ClientGoneError, Job, ModelQueue, QueueFullError, TimeLimitError
from stylegan_lab.serving.served_model import MAX_SEED, MAX_SIDE, ServedModel
from stylegan_lab.serving.upload import Form, Upload

STATIC = Path(__file__).parent / "static"
TICKET = re.compile(r"[0-9a-f]{16,64}")
CHUNK = 65536  # bytes


class App:
    """The web application. It does not store uploaded or generated images: results are only sent in the responses."""

    def __init__(self, models: Sequence[ServedModel], limits: Limits) -> None:
        self.images = ImageEndpoint(models, limits)
        self.page = render_page(models, limits)
        self.files = {
            "page_style.css": ((TEMPLATES / "page_style.css").read_bytes(), "text/css"),
            "serve.css": ((STATIC / "serve.css").read_bytes(), "text/css"),
            "serve.js": ((STATIC / "serve.js").read_bytes(), "text/javascript"),
        }
        routes = [
            Route("/", self.get_page),
            Route("/static/{name}", self.get_file),
            Route("/image", self.images, methods=["POST"]),
            Route("/queue/{ticket}", self.get_state),
        ]
        self.asgi = Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _failure})

    async def get_page(self, _: Request) -> Response:
        return Response(self.page, media_type="text/html")

    async def get_file(self, request: Request) -> Response:
        if request.path_params["name"] not in self.files:
            raise HTTPException(404)
        contents, media_type = self.files[request.path_params["name"]]
        return Response(contents, media_type=media_type)

    async def get_state(self, request: Request) -> Response:
        return JSONResponse(self.images.state(request.path_params["ticket"]))


class ImageEndpoint:
    """Answers a form with a PNG. A request keeps its place in the queue until its client has received the whole response."""

    def __init__(self, models: Sequence[ServedModel], limits: Limits) -> None:
        self.models, self.limits, self.queue = models, limits, ModelQueue(limits)
        self.jobs: dict[str, Job] = {}  # by the ticket that the client has chosen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        upload, ticket = Upload(request, self.limits), request.query_params.get("ticket", "")
        try:
            with self.queue.place() as job:
                if TICKET.fullmatch(ticket):
                    self.jobs[ticket] = job
                response = await self._run(request, await upload.read_form(), job)
                await self._send(response, request, send)
            return
        except QueueFullError as full:
            error = f"{self.limits.queue} requests are waiting already; try again in {full.retry_after} s"
            response = await _refuse(upload, 429, error, {"Retry-After": str(full.retry_after)})
        except HTTPException as refusal:
            response = await _refuse(upload, refusal.status_code, refusal.detail)
        except (ClientDisconnect, ClientGoneError):
            return
        finally:
            self.jobs.pop(ticket, None)
        await response(scope, receive, send)

    async def _send(self, response: Response, request: Request, send: Send) -> None:
        """Send a response. A client that does not read the response in time is disconnected."""
        try:
            await asyncio.wait_for(response(request.scope, request.receive, send), self.limits.upload_seconds)
        except asyncio.TimeoutError:
            request.state.abort()
            await _wait_for_disconnect(request)

    def state(self, ticket: str) -> dict[str, int]:
        job = self.jobs.get(ticket)
        return {} if job is None else self.queue.state(job)

    async def _run(self, request: Request, form: Form, job: Job) -> Response:
        disconnect = asyncio.ensure_future(_wait_for_disconnect(request))
        try:
            work = self._choose_model(form).prepare(form)
            png, notes = await self.queue.run(job, work, disconnect)
        except UserError as error:
            return _error(422, str(error))
        except TimeLimitError:
            limit = f"{self.limits.seconds:g} s"
            return _error(504, f"the model has not finished within {limit}; try a smaller image, or a smaller size")
        finally:
            disconnect.cancel()
        headers = {"Content-Length": str(len(png))}
        if notes:
            headers["X-Notes"] = ascii("; ".join(notes))[1:-1]  # headers are ASCII
        return StreamingResponse(_chunks(png), media_type="image/png", headers=headers)

    def _choose_model(self, form: Form) -> ServedModel:
        number = form.texts.get("model", "0")
        if not number.isdecimal() or int(number) >= len(self.models):
            raise UserError(
                "serve.unknown_model", f"model={number[:40]} must be a number from 0 to {len(self.models) - 1}"
            )
        return self.models[int(number)]


def render_page(models: Sequence[ServedModel], limits: Limits) -> str:
    environment = Environment(
        loader=FileSystemLoader(STATIC),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {}  # keys keep their order
    described = [model.describe() for model in models]
    counts = Counter(model.name for model in models)
    for number, each in enumerate(described, start=1):
        each["name"] += f" {number}" if counts[each["name"]] > 1 else ""
    data = {"models": described, "max_bytes": limits.upload_bytes, "max_seed": MAX_SEED}
    return environment.get_template("serve.html.j2").render(
        data=data, megabytes=limits.upload_bytes / 1e6, megapixels=limits.pixels / 1e6, max_side=MAX_SIDE
    )


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _chunks(contents: bytes) -> AsyncIterator[bytes]:
    """Yield the contents in chunks. Each chunk is sent after the client has received the previous chunks."""
    for start in range(0, len(contents), CHUNK):
        yield contents[start : start + CHUNK]


async def _refuse(upload: Upload, status: int, error: str, headers: dict[str, str] | None = None) -> Response:
    await upload.discard()
    closing = {} if upload.is_complete else {"Connection": "close"}
    return _error(status, error, {**(headers or {}), **closing})


def _error(status: int, error: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error}, status, headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail)


async def _failure(*_: object) -> Response:
    return _error(500, "the server has failed; the terminal of stylegan-lab serve says why")
