"""Models that answer voters, for tests: small servers that write, fail, take their time or are hostile, as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from openai_server import OpenAIServer, answer

Write = Callable[[list[dict[str, Any]]], str]


class ModelServer(OpenAIServer):
    """A server of the model `name`. write: makes the text of a conversation; seconds: for each character of it."""

    def __init__(self, name: str, write: Write | None = None, *, seconds: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.name, self.models, self.seconds = name, [name], seconds
        self.write = write or (lambda messages: f"Reply {len(name) * 7} to {messages[-1]['content']}")
        self.fails: Callable[[web.Request], Any] | None = None

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if refused := self._refused(request):
            return refused
        if self.fails is not None and (response := await self.fails(request)) is not None:
            return response
        text = self.write(body["messages"])
        await asyncio.sleep(self.seconds * len(text))
        return web.json_response(answer(body | {"seed": 0}, message={"role": "assistant", "content": text}))

    @property
    def flag(self) -> tuple[str, str]:
        """The flag that names this model."""
        return "--model", f"{self.name}={self.url}"
