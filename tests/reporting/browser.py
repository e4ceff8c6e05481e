"""Headless Chromium, if it is installed, controlled with the DevTools protocol over a pipe."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    EXECUTABLE is None, reason="no chromium, chromium-browser or google-chrome on the PATH"
)
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--remote-debugging-pipe", "--allow-file-access-from-files"]  # fmt: skip
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Enter": 13, " ": 32}
TIMEOUT = 20.0  # seconds


class NavigationError(AssertionError):
    """The page navigated away during a call."""


class Page:
    """One page, with the errors it logged and the URLs it requested."""

    def __init__(self, input_fd: int, output_fd: int) -> None:
        self._input, self._output, self._buffer, self._number, self._session = input_fd, output_fd, b"", 0, ""
        self.errors: list[str] = []
        self.requested: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": arguments}
        os.write(
            self._input, json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0"
        )
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            left = any(word in answer["error"]["message"] for word in ("navigated", "context"))
            raise (NavigationError if left else AssertionError)(method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, path: Path, state: str = "") -> None:
        """Load the page again even if only the fragment of its address differs."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{path.resolve().as_uri()}{state}")
        self.until("document.documentElement?.dataset.ready === 'yes'")

    def emulate(self, dark: bool = False, width: int = 1200, height: int = 900) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def value(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str) -> None:
        start = time.monotonic()
        while not self._holds(script):
            assert time.monotonic() - start < TIMEOUT, script
            time.sleep(0.02)

    def _holds(self, script: str) -> bool:
        try:
            return bool(self.value(script))
        except NavigationError:
            return False

    def press(self, key: str) -> None:
        event = {
            "key": key,
            "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper())),
            "code": key if key in KEYS else "",
        }
        text = {"text": "\r" if key == "Enter" else key} if key in ("Enter", " ") or len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded":
            self.errors.append(params["entry"]["text"])
        if event.get("method") == "Runtime.consoleAPICalled":
            self.errors.append(json.dumps(params["args"]))
        if event.get("method") == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"][:200])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._output], [], [], TIMEOUT)
            assert ready, "the browser does not answer"
            self._buffer += os.read(self._output, 1 << 20)
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    assert EXECUTABLE is not None
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()

    def pass_pipes() -> None:
        one, other = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(one, 3)
        os.dup2(other, 4)

    with (folder / "browser.txt").open("w") as log:
        process = subprocess.Popen(
            [EXECUTABLE, *FLAGS, f"--user-data-dir={folder / 'profile'}"],
            stdout=log, stderr=log, close_fds=False, preexec_fn=pass_pipes,
        )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(ours_out, ours_in)
    finally:
        os.close(ours_out)  # the browser exits when its pipe closes
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(ours_in)
