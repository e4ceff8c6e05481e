"""The routes of the server: the page and its files, one image, and the state of the queue."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stylegan_lab.errors import UserError
from stylegan_lab.reporting.html_page import TEMPLATES
from stylegan_lab.serving.limits import Limits
from stylegan_lab.serving.model_queue import ClientGoneError, Job, ModelQueue, QueueFullError, TimeLimitError
from stylegan_lab.serving.served_model import MAX_SEED, MAX_SIDE, ServedModel
from stylegan_lab.serving.upload import Form, Upload

STATIC = Path(__file__).parent / "static"
TICKET = re.compile(r"[0-9a-f]{16,64}")


class App:
    """Results are only in the responses: nothing that is uploaded or made is kept."""

    def __init__(self, models: Sequence[ServedModel], limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.queue = ModelQueue(limits)
        self.jobs: dict[str, Job] = {}  # by the ticket that the client has chosen
        self.page = render_page(models, limits).encode()
        self.files = {
            "page_style.css": ((TEMPLATES / "page_style.css").read_bytes(), "text/css"),
            "serve.css": ((STATIC / "serve.css").read_bytes(), "text/css"),
            "serve.js": ((STATIC / "serve.js").read_bytes(), "text/javascript"),
        }
        routes = [
            Route("/", self.get_page),
            Route("/static/{name}", self.get_file),
            Route("/image", self.make_image, methods=["POST"]),
            Route("/queue/{ticket}", self.get_state),
        ]
        self.asgi = Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _failure})

    async def get_page(self, request: Request) -> Response:
        return Response(self.page, media_type="text/html")

    async def get_file(self, request: Request) -> Response:
        if request.path_params["name"] not in self.files:
            raise HTTPException(404)
        contents, media_type = self.files[request.path_params["name"]]
        return Response(contents, media_type=media_type)

    async def get_state(self, request: Request) -> Response:
        job = self.jobs.get(request.path_params["ticket"])
        return JSONResponse({} if job is None else self.queue.state(job))

    async def make_image(self, request: Request) -> Response:
        """A PNG. Progress can be asked for at /queue/TICKET meanwhile."""
        upload, ticket = Upload(request, self.limits), request.query_params.get("ticket", "")
        try:
            with self.queue.place() as job:
                if TICKET.fullmatch(ticket):
                    self.jobs[ticket] = job
                form = await upload.read_form()
                return await self._run(request, form, job)
        except QueueFullError as full:
            error = f"{self.limits.queue} requests are waiting already; try again in {full.retry_after} s"
            return await _refuse(upload, 429, error, {"Retry-After": str(full.retry_after)})
        except HTTPException as refusal:
            return await _refuse(upload, refusal.status_code, refusal.detail)
        except (ClientDisconnect, ClientGoneError):
            return Response(status_code=499)  # which nobody receives
        finally:
            self.jobs.pop(ticket, None)

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
        # Header values are ASCII.
        return Response(
            png, media_type="image/png", headers={"X-Notes": ascii("; ".join(notes))[1:-1]} if notes else {}
        )

    def _choose_model(self, form: Form) -> ServedModel:
        number = form.texts.get("model", "0")
        if not number.isdecimal() or int(number) >= len(self.models):
            raise UserError(f"model={number[:40]}: a number from 0 to {len(self.models) - 1} is expected")
        return self.models[int(number)]


def render_page(models: Sequence[ServedModel], limits: Limits) -> str:
    environment = Environment(
        loader=FileSystemLoader(STATIC),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
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
