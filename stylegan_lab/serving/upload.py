"""Reads a form with images into memory. The limits are enforced while the form arrives."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from stylegan_lab.serving.limits import Limits

MAX_FILES, MAX_FIELDS, MAX_FIELD_BYTES = 2, 10, 1000
DISCARD_SECONDS = 5.0


@dataclass(frozen=True)
class Form:
    """The contents of a form: texts and contents of files by the name of their field. The names of files are not read."""

    texts: dict[str, str]
    files: dict[str, bytes]


class Upload:
    """The body of one request."""

    def __init__(self, request: Request, limits: Limits) -> None:
        self.request, self.limits = request, limits
        self.received, self.is_complete = 0, False

    async def read_form(self) -> Form:
        headers = self.request.headers
        if not headers.get("content-type", "").startswith("multipart/form-data"):
            raise HTTPException(415, "a form (multipart/form-data) is expected")
        self._check_size(int(headers.get("content-length", 0)))
        parser = MultiPartParser(
            headers, self._chunks(), max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
        parser.spool_max_size = self.limits.upload_bytes + 1  # files stay in memory
        try:
            form = await asyncio.wait_for(parser.parse(), self.limits.upload_seconds)
        except asyncio.TimeoutError:
            raise HTTPException(408, f"the upload took longer than {self.limits.upload_seconds:g} seconds") from None
        except MultiPartException as error:
            raise HTTPException(400, f"this form cannot be read: {error.message}") from None
        files = {name: await value.read() for name, value in form.items() if isinstance(value, UploadFile)}
        await form.close()
        return Form({name: value for name, value in form.items() if isinstance(value, str)}, files)

    async def discard(self) -> None:
        """Read and discard what a refused client still sends, for a limited time. If the connection were closed earlier,
        the client would not receive the answer."""
        with suppress(asyncio.TimeoutError, ClientDisconnect):
            await asyncio.wait_for(self._discard(), DISCARD_SECONDS)

    async def _discard(self) -> None:
        start = self.received
        while not self.is_complete and self.received - start <= self.limits.upload_bytes:
            await self._receive()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        while not self.is_complete:
            chunk = await self._receive()
            self._check_size(self.received)
            yield chunk

    async def _receive(self) -> bytes:
        message = await self.request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        self.received += len(chunk)
        self.is_complete = not message.get("more_body", False)
        return chunk

    def _check_size(self, size: int) -> None:
        if size > self.limits.upload_bytes:
            limit = f"{self.limits.upload_bytes / 1e6:g} MB"
            raise HTTPException(413, f"the upload is larger than {limit}; give a smaller file")
