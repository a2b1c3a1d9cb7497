"""The openai engine at the margins: what a request holds, what is tried again, and what is not."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from openai_server import MODEL, OpenAIServer, Trouble, too_many

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, open_engine
from latxa_cli.stream.errors import LatxaError


def opened(server: OpenAIServer, *engine_option: str, **given: Any) -> Any:
    return open_engine(MODEL, EngineOptions(base_url=server.url, engine_option=engine_option, **given))


LONG = Decoding(50)


def complete(engine: Any, count: int = 1, decoding: Decoding = LONG) -> list[Completion]:
    asked = [Request(decoding, seed, text=f"text {seed}") for seed in range(count)]
    return [completion for _, completion in sorted(engine.generate(asked), key=lambda entry: entry[0])]


def fails(status: int, said: str = "no", **headers: str) -> Trouble:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None:
            return None
        return web.json_response({"error": {"message": said}}, status=status, headers=headers)

    return trouble


def test_no_more_tokens_are_asked_for_than_the_context_has() -> None:
    async def small(request: web.Request, body: Any) -> web.StreamResponse | None:
        return web.json_response({"data": [{"id": MODEL, "max_model_len": 30}]}) if body is None else None

    with OpenAIServer(small) as server:
        complete(opened(server), decoding=Decoding(50))
        complete(opened(server), decoding=Decoding(20))
    assert [body["max_tokens"] for body in server.bodies] == [30, 20]


def test_a_top_p_of_nothing_is_sent_as_next_to_nothing() -> None:
    with OpenAIServer() as server:
        complete(opened(server), decoding=Decoding(50, 1.0, 0.0))
    assert 0 < server.bodies[0]["top_p"] < 1e-5


def test_what_is_under_way_counts_for_the_cost() -> None:
    """Each may cost 550 thousandths at the most and costs some 15: the second must wait for the first."""
    with OpenAIServer() as server:
        server.delay = 0.05
        assert len(complete(opened(server, "price=1000/1000", max_cost=0.8, batch_size=8), 6)) == 6
        assert server.most_at_once == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_prompt_that_does_not_fit_is_told_by_several_statuses(status: int) -> None:
    with OpenAIServer(fails(status, "the prompt is too long")) as server:
        assert [one.finish_reason for one in complete(opened(server))] == ["too long"]


@pytest.mark.parametrize(("status", "sent"), [(408, 2), (429, 2), (500, 2), (503, 2), (501, 1), (404, 1), (401, 1)])
def test_which_statuses_are_asked_again(status: int, sent: int) -> None:
    with OpenAIServer(fails(status)) as server, suppress(LatxaError):
        assert complete(opened(server, "retries=1"))[0].finish_reason == "failed"
    assert list(server.sent.values()) == [sent]


def test_nobody_is_sent_on_to_another_address() -> None:
    with OpenAIServer(fails(307, "", Location="/v1/elsewhere")) as server, pytest.raises(LatxaError) as caught:
        complete(opened(server))
    assert "307" in caught.value.message and "`/v1/elsewhere`" in caught.value.hint


def test_a_server_that_was_there_may_come_back() -> None:
    async def page(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or len(server.bodies) > 1:
            return None
        return web.Response(text="<html><title>Restarting</title></html>", content_type="text/html")

    with OpenAIServer(page) as server:
        assert len(complete(opened(server))) == 1


def test_it_waits_as_long_as_the_server_asks() -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return None if body is None or len(server.bodies) > 1 else await too_many(request)

    with OpenAIServer(trouble) as server:
        engine, began = opened(server), time.monotonic()
        complete(engine)
        assert time.monotonic() - began >= 1
