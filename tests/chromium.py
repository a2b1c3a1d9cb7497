"""A page in a real Chromium, driven through its own protocol (CDP): what it shows, says, asks for, and looks like."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--mute-audio",
)  # fmt: skip


class Page:
    """One page: `complaints` are errors of the console and of the page's policy, `requests` the addresses asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.loop, self.socket, self.number = loop, socket, 0
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.loaded = False

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.loop.run_until_complete(self._call(method, parameters))

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self.socket.receive(timeout=60)).data)
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self._note(message["method"], message["params"])

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(said["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
            self.complaints.append(str(said["args"]))
        elif method == "Page.loadEventFired":
            self.loaded = True

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression, awaited."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, place: Path | str, ready: str = "true") -> float:
        """Open a file, or an address, and return the seconds until the expression `ready` holds."""
        started = time.monotonic()
        self.call("Page.navigate", url=place if isinstance(place, str) else place.absolute().as_uri())
        self.wait(f"document.readyState === 'complete' && ({ready})")
        return time.monotonic() - started

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Wait until an expression holds; one that fails does not hold yet: a page that is loading has no elements."""
        end = time.monotonic() + seconds
        while (why := self._unmet(condition)) is not None:
            assert time.monotonic() < end, f"not within {seconds} s: {condition}\n{why}\n{self.complaints}"
            time.sleep(0.01)

    def _unmet(self, condition: str) -> str | None:
        try:
            return None if self.run(f"Boolean({condition})") else "it is false"
        except AssertionError as error:
            return str(error)

    def choose(self, name: str, value: str) -> None:
        """Give a control a value, as a person does."""
        self.run(
            f"(() => {{ const one = document.getElementById({json.dumps(name)}); one.value = {json.dumps(value)};"
            "one.dispatchEvent(new Event(one.tagName === 'INPUT' ? 'input' : 'change', {bubbles: true})); })()"
        )

    def key(self, key: str) -> None:
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def look(self, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def chromium() -> Iterator[Page]:
    """Yield an empty page of a browser, which ends with the block."""
    assert BROWSER is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [BROWSER, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        loop = asyncio.new_event_loop()
        session = None
        try:
            assert process.stderr is not None
            lines = (line.decode(errors="replace") for line in process.stderr)
            found = next(filter(None, (re.search(r"ws://(\S+?)/devtools", line) for line in lines)))
            session = loop.run_until_complete(_session())
            page = loop.run_until_complete(_page(loop, session, found[1]))
            for domain in ("Page", "Network", "Log", "Runtime"):
                page.call(f"{domain}.enable")
            yield page
        finally:
            if session is not None:
                loop.run_until_complete(session.close())
            process.kill()
            process.wait()
            loop.close()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


async def _page(loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession, address: str) -> Page:
    async with session.get(f"http://{address}/json") as answer:
        target = next(one for one in await answer.json() if one["type"] == "page")
    return Page(loop, await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0))
