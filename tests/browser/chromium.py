"""A headless Chromium, driven over its DevTools protocol: the browser's own, and no other package.

with Chromium.start(folder) as browser:
    page = browser.open(address)
    page.wait_for("document.title")
    assert not page.errors and page.fetched <= {...}
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-audio-output",  # a sink that keeps time, where there is no sound card
)
MOST_BYTES = 64 << 20  # a screenshot in base64


class Page:
    """A tab: what it fetched, what went wrong in it, and what one may do to it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self._session: str | None = None
        self.fetched: set[str] = set()
        self.errors: list[str] = []

    def open(self, address: str, width: int, height: int) -> None:
        """Opens `address` in a new tab and watches it from the first request on."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Network", "Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Page.navigate", url=address)
        self.wait_for("location.href != 'about:blank' && document.readyState == 'complete'")

    def resize(self, width: int, height: int) -> None:
        """The size of the window in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a DevTools method."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            request["sessionId"] = self._session
        self._socket.send(json.dumps(request))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._event(message)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are waited for."""
        arguments = {"returnByValue": True, "awaitPromise": True, "userGesture": True}
        result = self.call("Runtime.evaluate", expression=expression, **arguments)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 30) -> Any:
        """The value of the expression once it is truthy; fails the test if it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.evaluate(expression):
                return value
            time.sleep(0.05)
        shown = self.evaluate("document.body.innerText")
        pytest.fail(f"never: {expression}\nerrors: {self.errors}\npage: {shown}")

    def screenshot(self, path: Path) -> None:
        """A PNG of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def _event(self, message: dict[str, Any]) -> None:
        method, values = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.fetched.add(values["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.fetched.add(values["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(values["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning"):
            self.errors.append(json.dumps(values["args"]))
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.errors.append(values["entry"]["text"])


class Chromium:
    """A browser of its own profile; skips the test where no Chromium is installed."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._stack = contextlib.ExitStack()

    @classmethod
    @contextlib.contextmanager
    def start(cls, profile: Path, *flags: str) -> Iterator[Chromium]:
        """The browser, ended when the block is left; its profile is the folder `profile`."""
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            pytest.skip("no Chromium here; install it with: make browser-deps")
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # it refuses to be root otherwise
        command = [program, *FLAGS, *sandbox, *flags, f"--user-data-dir={profile}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, **quiet) as process:
            browser = cls(_endpoint(profile / "DevToolsActivePort", process))
            try:
                yield browser
            finally:
                process.terminate()
                process.wait(30)
                browser._stack.close()

    def open(self, address: str, width: int = 1200, height: int = 900) -> Page:
        """A tab that shows `address`."""
        # No limit to what waits: a socket that is not read while a test waits must still close.
        socket = connect(
            self._endpoint,
            max_size=MOST_BYTES,
            max_queue=None,
            compression=None,
            ping_interval=None,
        )
        page = Page(self._stack.enter_context(socket))
        page.open(address, width, height)
        return page


def _endpoint(file: Path, process: subprocess.Popen) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if file.exists() and len(lines := file.read_text().split()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise RuntimeError(f"Chromium did not start (exit status {process.poll()})")
