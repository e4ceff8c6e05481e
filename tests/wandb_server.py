"""A W&B server on this machine, as far as runs and `wandb sync` ask one: it remembers lines of history and files, by run."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer:
    """`history` by run, `files` by name, `artifacts` by name with their aliases; `runs` as they were first told of."""

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
                    asked = json.loads(body)
                    found = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
                    reply: Any = server.answer(found[1] if found else "", asked.get("variables") or {})
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
                """Whoever asked has gone."""

        http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield self
        finally:
            http.shutdown()
            http.server_close()

    def answer(self, what: str, given: dict[str, Any]) -> Any:
        answers = {
            "RunResumeStatus": self._resume,
            "UpsertBucket": self._run,
            "CreateArtifact": self._artifact,
            "CreateRunFiles": self._put,
            "Viewer": lambda _: {"viewer": {**ENTITY, "entity": "me", "username": "me", "teams": {"edges": []}}},
            "ServerFeaturesQuery": lambda _: {"serverInfo": {"features": []}},
        }
        return answers.get(what, lambda _: {})(given)

    def append(self, run: str, given: dict[str, Any]) -> Any:
        """Lines take the place of those that are there from their offset on."""
        if lines := given.get("files", {}).get("wandb-history.jsonl"):
            self.history.setdefault(run, [])[lines["offset"] :] = [json.loads(line) for line in lines["content"]]
        return {}

    def _resume(self, given: dict[str, Any]) -> Any:
        rows = self.history.get(given["name"])
        known = rows and {
            "id": given["name"],
            "name": given["name"],
            "historyLineCount": len(rows),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(rows[-1])]),
            "eventsTail": "[]",
            "summaryMetrics": "{}",
            "config": "{}",
            "wandbConfig": '{"t": 1}',  # by which it is seen that the run had begun
            "tags": [],
        }
        return {"model": {"id": "1", "name": given["project"], "entity": ENTITY, "bucket": known}}

    def _run(self, given: dict[str, Any]) -> Any:
        self.runs.setdefault(given["name"], given)
        project = {"id": "1", "name": given["project"], "entity": ENTITY}
        names = {"id": given["name"], "name": given["name"], "displayName": given["displayName"]}
        return {"upsertBucket": {"bucket": {**names, "historyLineCount": 0, "project": project}, "inserted": True}}

    def _artifact(self, given: dict[str, Any]) -> Any:
        told = given["input"]
        self.artifacts.append((told["artifactCollectionName"], {each["alias"] for each in told["aliases"]}))
        there = {"id": str(len(self.artifacts)), "state": "COMMITTED", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": there}}

    def _put(self, given: dict[str, Any]) -> Any:
        files = [{"name": name, "uploadUrl": f"{self.url}/put/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}


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
