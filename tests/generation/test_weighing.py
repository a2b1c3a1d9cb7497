"""How likely each of some letters is to come next, as a server says it; and fields that a server refuses."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from openai_server import MODEL, OpenAIServer, answer

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, open_engine
from latxa_cli.stream.errors import LatxaError

TURN = {"role": "user", "content": "Which?"}
ONE = Decoding(1)
CHAT = Request(ONE, messages=(TURN,), choices=("A", "B", "C"))
PLAIN = Request(ONE, text="Which?", choices=(" A", " B", " C"))
TOLD = {" A": -2.0, "A": -0.5, "B": -1.0, " B\n": -3.0}


def with_logprobs(told: dict[str, float] | None) -> Any:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None:
            return None
        tops = [{"token": token, "logprob": p} for token, p in (told or {}).items()]
        chat = {"content": [{"token": "x", "logprob": -9.0, "top_logprobs": tops}]}
        plain = {"tokens": ["x"], "top_logprobs": [told]}
        logprobs = None if told is None else chat if "messages" in body else plain
        return web.json_response(answer(body, logprobs=logprobs))

    return trouble


def asked(server: OpenAIServer, *given: Request) -> list[Completion]:
    engine: Any = open_engine(MODEL, EngineOptions(base_url=server.url, engine_option=["retries=0"]))
    assert engine.weighs
    return [completion for _, completion in sorted(engine.generate(iter(given)), key=lambda entry: entry[0])]


def test_letters_are_weighed_as_they_are_asked_for_else_with_other_space() -> None:
    with OpenAIServer(with_logprobs(TOLD)) as server:
        chat, plain = asked(server, CHAT, PLAIN)
        bodies = dict(zip(server.paths, server.bodies, strict=True))
    assert chat.likelihoods == (-0.5, -1.0, None) and plain.likelihoods == (-2.0, -1.0, None)
    of_chat, of_plain = bodies["/v1/chat/completions"], bodies["/v1/completions"]
    assert (of_chat["logprobs"], of_chat["top_logprobs"], of_chat["max_tokens"]) == (True, 20, 1)
    assert of_plain["logprobs"] == 20 and "top_logprobs" not in of_plain


def test_other_requests_ask_for_no_log_probabilities() -> None:
    with OpenAIServer() as server:
        (completion,) = asked(server, Request(ONE, messages=(TURN,)))
        assert completion.likelihoods == () and not {"logprobs", "top_logprobs"} & set(server.bodies[0])


@pytest.mark.parametrize("request_", [CHAT, PLAIN])
def test_a_server_that_tells_none_ends_the_run_with_a_way_out(request_: Request) -> None:
    with OpenAIServer(with_logprobs(None)) as server, pytest.raises(LatxaError, match="gives no log-prob") as caught:
        asked(server, request_)
    assert "--format generate" in caught.value.hint


def test_a_server_that_refuses_them_does_so_too() -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        said = {"error": {"message": "logprobs are not supported by this model"}}
        return web.json_response(said, status=400) if body else None

    with OpenAIServer(trouble) as server, pytest.raises(LatxaError, match="logprobs are not supported") as caught:
        asked(server, CHAT)
    assert "--format generate" in caught.value.hint


def test_a_server_is_asked_without_fields_that_it_refuses() -> None:
    """Models that reason take no temperature but their own, and say so in these words."""

    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        said = ""
        if body and "temperature" in body:
            said = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is"
        elif body and "top_p" in body:
            said = "Unsupported parameter: 'top_p' is not supported with this model."
        elif body and "max_tokens" in body:
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return web.json_response({"error": {"message": said}}, status=400) if said else None

    told: list[str] = []
    with OpenAIServer(trouble) as server:
        engine: Any = open_engine(MODEL, EngineOptions(base_url=server.url, batch_size=1, say=told.append))
        given = [Request(Decoding(9), seed, messages=(TURN,)) for seed in range(3)]
        assert [completion.finish_reason for _, completion in engine.generate(iter(given))] == ["stop"] * 3
        assert len(server.bodies) == 3 + 3 and server.bodies[-1]["max_completion_tokens"] == 9
        assert not {"temperature", "top_p", "max_tokens"} & set(server.bodies[-1]) and "seed" in server.bodies[-1]
    assert engine.facts()["refused_fields"] == ["temperature", "top_p"]
    assert [line.partition("refuses ")[2] for line in told] == [
        "`temperature`, and is asked without it", "`top_p`, and is asked without it",
    ]  # fmt: skip
