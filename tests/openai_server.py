"""An OpenAI-compatible server in a thread, for tests: it answers from what it is asked, fails as told, and counts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from email.utils import formatdate
from itertools import cycle
from typing import Any

from aiohttp import web

MODEL = "tiny/model"
WORDS = ["harbour", "keeper", "seven", "lamps", "storm", "gulls", "sleep", "warm", "roofs", "bakers", "bread", "quiet"]

# What a server does in place of an answer (None: it answers after all).
Trouble = Callable[[web.Request, Any], Awaitable[web.StreamResponse | None]]


def text_for(body: dict[str, Any]) -> str:
    """Return the text that the server writes: it depends on the prompt and the seed alone."""
    asked = json.dumps([body.get("messages"), body.get("prompt"), body["seed"]])
    draw = random.Random(hashlib.sha256(asked.encode()).hexdigest())
    return " " + " ".join(draw.choices(WORDS, k=draw.randint(4, 9))).capitalize() + "."


class OpenAIServer:
    """`with OpenAIServer() as server:` serves at `server.url`; `bodies` holds every request as it came."""

    def __init__(self, trouble: Trouble | None = None, *, key: str = "", owner: str = "somebody") -> None:
        self.trouble, self.key, self.owner = trouble, key, owner
        self.delay = 0.0
        self.limit: int | None = None  # how many requests are answered, all that come later wait
        self.models = [MODEL, "other/model"]
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.at_once = self.most_at_once = 0

    @property
    def sent(self) -> Counter[str]:
        """How often each request came, those that differ in nothing being one."""
        return Counter(json.dumps(body, sort_keys=True) for body in self.bodies)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request):
            return refused
        if self.trouble and (response := await self.trouble(request, None)):
            return response
        entries = [{"id": name, "object": "model", "owned_by": self.owner} for name in self.models]
        return web.json_response({"object": "list", "data": entries})

    async def _version(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"version": "0.32.0"})

    def _refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if self.key and given != f"Bearer {self.key}":
            # Some servers repeat the key that they refuse.
            said = {"error": {"message": f"Incorrect API key provided: {given}", "code": "invalid_api_key"}}
            return web.json_response(said, status=401)
        return None

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.paths.append(request.path)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            place = len(self.bodies)
            while self.limit is not None and place > self.limit:
                await asyncio.sleep(0.01)
            if refused := self._refused(request):
                return refused
            if self.trouble and (response := await self.trouble(request, body)):
                return response
            await asyncio.sleep(self.delay)
            return web.json_response(answer(body))
        finally:
            self.at_once -= 1

    def __enter__(self) -> OpenAIServer:
        begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()

        async def serve() -> None:
            app = web.Application()
            app.add_routes(
                [
                    web.get("/v1/models", self._models),
                    web.get("/version", self._version),
                    web.post("/v1/completions", self._complete),
                    web.post("/v1/chat/completions", self._complete),
                ]
            )
            runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            end = asyncio.Event()
            port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            begun.set_result((asyncio.get_running_loop(), end, port))
            await end.wait()
            await runner.cleanup()

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self._thread.start()
        self._loop, self._end, port = begun.result(30)
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)


def answer(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what the server answers to a request; `changes` are of its first choice."""
    text = text_for(body)
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
    usage = {"prompt_tokens": 10, "completion_tokens": len(text.split()), "total_tokens": 10 + len(text.split())}
    return {"id": "x", "object": "text_completion", "choices": [choice | changes], "usage": usage}


# --- ways to fail ----------------------------------------------------------------------------------------------------


async def too_many(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "1"})


async def too_many_until(request: web.Request) -> web.StreamResponse:
    return web.Response(text="slow down", status=503, headers={"Retry-After": formatdate(usegmt=True)})


async def internal(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html><title>Internal \x1b[31merror</title></html>", status=500, content_type="text/html")


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def truncated(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"text": "half')
    assert request.transport is not None
    request.transport.close()
    return response


async def garbage(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"choices": [\xff\xfe', content_type="application/json")


SIX_WAYS = (too_many, internal, reset, hang, truncated, garbage)


class Unreliable:
    """Fails a share of the requests, in six ways in turn, but none more often than `most` times."""

    def __init__(self, share: float, most: int) -> None:
        self.share, self.most = share, most
        self.draw, self.ways = random.Random(0), cycle(SIX_WAYS)
        self.failed: Counter[str] = Counter()
        self.by_way: Counter[str] = Counter()

    async def __call__(self, request: web.Request, body: Any) -> web.StreamResponse | None:
        name = json.dumps(body, sort_keys=True)
        if body is None or self.failed[name] >= self.most or self.draw.random() >= self.share:
            return None
        self.failed[name] += 1
        way = next(self.ways)
        self.by_way[way.__name__] += 1
        return await way(request)
