"""A local stand-in for a W&B server, with what runs and `wandb sync` need. It stores history and files by run."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer:
    """`history` by run, `files` by name, `artifacts` by name with their aliases; `runs` as first created."""

    def __init__(self) -> None:
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.artifacts: list[tuple[str, set[str]]] = []
        self.refuses = False

    @contextmanager
    def serving(self) -> "Iterator[WandbServer]":
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = _body(self)
                if self.path == "/graphql":
                    request = json.loads(body)
                    found = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
                    reply: Any = server.answer(found[1] if found else "", request.get("variables") or {})
                elif self.path.endswith("/file_stream"):
                    reply = server.append(self.path.split("/")[-2], json.loads(body))
                else:
                    reply = {}
                self.reply({"data": reply}, 400 if server.refuses else 200)

            def do_PUT(self) -> None:
                server.files[self.path.removeprefix("/put/")] = _body(self)
                self.reply({})

            def do_GET(self) -> None:
                self.reply({})

            def reply(self, value: Any, code: int = 200) -> None:
                data = json.dumps(value).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Do nothing: the client has disconnected."""

        http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield self
        finally:
            http.shutdown()
            http.server_close()

    def answer(self, operation: str, variables: dict[str, Any]) -> Any:
        answers = {
            "RunResumeStatus": self._resume,
            "UpsertBucket": self._run,
            "CreateArtifact": self._artifact,
            "CreateRunFiles": self._put,
            "Viewer": lambda _: {"viewer": {**ENTITY, "entity": "me", "username": "me", "teams": {"edges": []}}},
            "ServerFeaturesQuery": lambda _: {"serverInfo": {"features": []}},
        }
        return answers.get(operation, lambda _: {})(variables)

    def append(self, run: str, variables: dict[str, Any]) -> Any:
        """Replace the lines of history from an offset on."""
        if lines := variables.get("files", {}).get("wandb-history.jsonl"):
            self.history.setdefault(run, [])[lines["offset"] :] = [json.loads(line) for line in lines["content"]]
        return {}

    def _resume(self, variables: dict[str, Any]) -> Any:
        rows = self.history.get(variables["name"])
        known = rows and {
            "id": variables["name"],
            "name": variables["name"],
            "historyLineCount": len(rows),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(rows[-1])]),
            "eventsTail": "[]",
            "summaryMetrics": "{}",
            "config": "{}",
            "wandbConfig": '{"t": 1}',  # shows that the run has been started
            "tags": [],
        }
        return {"model": {"id": "1", "name": variables["project"], "entity": ENTITY, "bucket": known}}

    def _run(self, variables: dict[str, Any]) -> Any:
        self.runs.setdefault(variables["name"], variables)
        project = {"id": "1", "name": variables["project"], "entity": ENTITY}
        names = {"id": variables["name"], "name": variables["name"], "displayName": variables["displayName"]}
        return {"upsertBucket": {"bucket": {**names, "historyLineCount": 0, "project": project}, "inserted": True}}

    def _artifact(self, variables: dict[str, Any]) -> Any:
        artifact = variables["input"]
        self.artifacts.append((artifact["artifactCollectionName"], {each["alias"] for each in artifact["aliases"]}))
        created = {"id": str(len(self.artifacts)), "state": "COMMITTED", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": created}}

    def _put(self, variables: dict[str, Any]) -> Any:
        files = [{"name": name, "uploadUrl": f"{self.url}/put/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}


ENTITY = {"id": "1", "name": "me"}


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding") == "chunked":
        data = b""
        while size := int(handler.rfile.readline(), 16):
            data += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
    else:
        data = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    return gzip.decompress(data) if handler.headers.get("Content-Encoding") == "gzip" else data
