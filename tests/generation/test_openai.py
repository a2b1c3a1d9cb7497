"""The openai engine against real servers, good ones and bad ones: nothing lost or doubled, nothing asked too often."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from aiohttp import web
from openai_server import (
    MODEL,
    SIX_WAYS,
    OpenAIServer,
    Trouble,
    Unreliable,
    answer,
    hang,
    internal,
    text_for,
    too_many_until,
)
from preloaded import Call, Server
from tiny import Latxa
from unchecked import TRANSLATE, write_files

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, engine_options, open_engine
from latxa_cli.generation.http import _retry_after
from latxa_cli.stream.errors import LatxaError, UsageError

KEY = "sk-very-secret-0123456789"
DRAWN = Decoding(50, temperature=0.7, top_p=0.9, stop=("\n",))


def opened(server: OpenAIServer, *engine_option: str, **given: Any) -> Any:
    return open_engine(MODEL, EngineOptions(base_url=server.url, engine_option=engine_option, **given))


def requests(count: int) -> list[Request]:
    return [Request(DRAWN, seed, text=f"text {seed}") for seed in range(count)]


def complete(engine: Any, asked: list[Request]) -> list[Completion]:
    return [completion for _, completion in sorted(engine.generate(iter(asked)), key=lambda entry: entry[0])]


def failure_of(engine: Any, *, of_all: bool = False) -> str:
    """Return what is said of a request that fails; `of_all`: no other would go better, which is an error."""
    if of_all:
        with pytest.raises(LatxaError) as caught:
            complete(engine, requests(1))
        return caught.value.message
    (found,) = complete(engine, requests(1))
    assert (found.finish_reason, found.prompt_tokens, found.completion_tokens) == ("failed", 0, 0)
    return found.text


def always(make: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Trouble:
    """Let every request for a completion fail in the same way."""

    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return None if body is None else await make(request)

    return trouble


def says(value: Any, status: int = 200) -> Trouble:
    """Answer every request for a completion with the same JSON, or text."""

    async def make(_: web.Request) -> web.StreamResponse:
        if isinstance(value, str):
            return web.Response(text=value, status=status, content_type="text/html" if "<" in value else "text/plain")
        return web.json_response(value, status=status)

    return always(make)


# --- the protocol ----------------------------------------------------------------------------------------------------


def test_every_request_is_sent_once_and_has_one_completion() -> None:
    with OpenAIServer() as server:
        engine = opened(server, batch_size=7)
        found = complete(engine, requests(40))
        assert [body["seed"] for body in sorted(server.bodies, key=lambda body: body["seed"])] == list(range(40))
        assert set(server.sent.values()) == {1}
        wanted = {body["seed"]: text_for(body) for body in server.bodies}
        assert [completion.text for completion in found] == [wanted[seed] for seed in range(40)]
        assert all(completion.finish_reason == "stop" and completion.prompt_tokens == 10 for completion in found)
        assert list(engine.generate([])) == []


def test_a_request_carries_its_decoding_and_only_standard_fields() -> None:
    with OpenAIServer() as server:
        messages = ({"role": "user", "content": "hello"},)
        asked = [Request(DRAWN, 2**64 - 1, text="a"), Request(DRAWN, 3, "<s>b"), Request(DRAWN, 4, messages=messages)]
        complete(opened(server, batch_size=1), asked)
    common = {"model": MODEL, "max_tokens": 50, "temperature": 0.7, "top_p": 0.9, "stop": ["\n"]}
    text, prompt, chat = server.bodies
    assert text == common | {"prompt": "a", "seed": 2**53 - 1}
    assert prompt == common | {"prompt": "<s>b", "seed": 3}
    assert chat == common | {"messages": list(messages), "seed": 4}
    assert server.paths == ["/v1/completions", "/v1/completions", "/v1/chat/completions"]


def test_vllm_is_asked_for_what_other_engines_do(tiny_models: Path) -> None:
    with OpenAIServer(owner="vllm") as server:
        engine = opened(server, f"tokenizer={tiny_models / 'trained'}", batch_size=1)
        begin, end = engine.tokenizer.bos_token, engine.tokenizer.eos_token
        complete(engine, [Request(DRAWN, 1, f"{begin}hello"), Request(DRAWN, 2, text="hello")])
        assert engine.facts()["server"] == "vllm" and engine.facts()["server_version"] == "0.32.0"
    prompt, text = server.bodies
    assert prompt["prompt"] == f"{begin}hello" and prompt["add_special_tokens"] is False
    assert text["prompt"] == "hello" and "add_special_tokens" not in text
    for body in server.bodies:
        assert body["skip_special_tokens"] is False and body["repetition_penalty"] == 1.0
        assert engine.tokenizer.convert_tokens_to_ids(end) in body["stop_token_ids"]


def test_a_text_begins_once_and_holds_no_special_tokens(tiny_models: Path) -> None:
    with OpenAIServer() as server:
        engine = opened(server, f"tokenizer={tiny_models / 'trained'}", batch_size=1)
        begin, end = engine.tokenizer.bos_token, engine.tokenizer.eos_token
        complete(engine, [Request(DRAWN, 1, f"{begin}hello{end}"), Request(DRAWN, 2, text=f"hello{end}")])
    prompt, text = server.bodies
    assert prompt["prompt"] == f"hello{end}", "the server writes the beginning itself"
    assert text["prompt"][0] == engine.tokenizer.bos_token_id and engine.tokenizer.eos_token_id not in text["prompt"]
    assert engine.tokenizer.decode(text["prompt"][1:]) == f"hello{end}"


def test_requests_are_pulled_as_there_is_room_and_completions_come_as_they_do() -> None:
    async def slow_first(request: web.Request, body: Any) -> web.StreamResponse | None:
        return await hang(request) if body and body["seed"] == 0 else None

    taken = []

    def asked() -> Iterator[Request]:
        for request in requests(100):
            taken.append(request)
            yield request

    with OpenAIServer(slow_first) as server:
        engine = opened(server, batch_size=5)
        flow = engine.generate(asked())
        for number, (place, _) in zip(range(20), flow, strict=False):
            assert place != 0 and len(taken) <= number + 6
        flow.close()
        assert server.most_at_once <= 5
    assert "latxa-requests" not in [thread.name for thread in threading.enumerate()]


def test_it_waits_for_a_completion_where_others_come_only_after_it() -> None:
    with OpenAIServer() as server:
        got: list[int] = []

        def asked() -> Iterator[Request | None]:
            for number, request in enumerate(requests(6)):
                yield request
                yield None
                assert len(got) == number + 1

        for place, _ in opened(server, batch_size=4).generate(asked()):
            got.append(place)
        assert got == list(range(6))


def test_an_error_of_the_input_ends_it_and_leaves_no_thread() -> None:
    def asked() -> Iterator[Request]:
        yield from requests(3)
        raise LatxaError("in.jsonl:4: no")

    with OpenAIServer() as server, pytest.raises(LatxaError, match="no"):
        list(opened(server).generate(asked()))
    assert "latxa-requests" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "content_filter"}, "filtered"),
        ({"finish_reason": "eos_token"}, "stop"),
    ],
    ids=lambda value: str(value),
)
def test_reasons(changes: dict[str, Any], reason: str) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return None if body is None else web.json_response(answer(body, **changes))

    with OpenAIServer(trouble) as server:
        assert [completion.finish_reason for completion in complete(opened(server), requests(2))] == [reason] * 2


def test_usage_may_be_absent_and_content_null() -> None:
    said = {"choices": [{"message": {"content": None}, "finish_reason": "length"}]}
    with OpenAIServer(says(said)) as server:
        (found,) = complete(opened(server), [Request(DRAWN, 0, messages=({"role": "user", "content": "x"},))])
    assert found == Completion("", "length", 0, 0)


@pytest.mark.parametrize(
    ("message", "thought", "text"),
    [
        ({"content": "So.", "reasoning": "hm"}, "hm", "So."),
        ({"content": "So.", "reasoning_content": "hm"}, "hm", "So."),
        ({"content": None, "reasoning": "hm"}, "hm", ""),
        ({"content": "So.", "reasoning": None}, "", "So."),
        ({"content": "<think>hm</think>\nSo."}, "hm", "\nSo."),
        ({"content": "a tag is `</think>`."}, "", "a tag is `</think>`."),
    ],
)
def test_thoughts_are_kept_apart(message: dict[str, Any], thought: str, text: str) -> None:
    said = {"choices": [{"message": message, "finish_reason": "stop"}]}
    asked = [Request(DRAWN, 0, messages=({"role": "user", "content": "x"},), thinking=True)]
    with OpenAIServer(says(said)) as server:
        (found,) = complete(opened(server), asked)
        assert server.bodies[0]["chat_template_kwargs"] == {"enable_thinking": True, "thinking": True}
    assert (found.thought, found.text) == (thought, text)


# --- what does not fit, and what a template refuses ------------------------------------------------------------------

TOO_LONG = [
    "This model's maximum context length is 2048 tokens. However, your prompt contains 3000 input tokens.",
    "max_tokens=1024 cannot be greater than max_model_len=256. Please request fewer output tokens.",
    "This model's maximum context length is 8192 tokens. However, you requested 8210 tokens (18 in the messages, 8192 "
    "in the completion). Please reduce the length of the messages or completion.",
    "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)",
    "the request exceeds the available context size, try increasing it",
    "the prompt is too long: 9000 tokens > 8192 maximum",
]


@pytest.mark.parametrize("message", TOO_LONG)
def test_a_prompt_that_does_not_fit_is_too_long(message: str) -> None:
    with OpenAIServer(says({"error": {"message": message}}, 400)) as server:
        assert complete(opened(server), requests(1)) == [Completion("", "too long", 0, 0)]
        assert [body["max_tokens"] for body in server.bodies] == [50, None]


def test_a_prompt_that_fits_gets_what_is_left_of_the_context() -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or body["max_tokens"] is None:
            return None
        return web.json_response({"object": "error", "message": TOO_LONG[2]}, status=400)

    with OpenAIServer(trouble) as server:
        (found,) = complete(opened(server), requests(1))
        assert found.finish_reason == "stop" and found.text == text_for(server.bodies[0])


def test_a_conversation_that_the_template_refuses_stops_no_other() -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or body["messages"][0]["role"] != "system":
            return None
        return web.json_response({"message": "System role not supported"}, status=400)

    asked = [Request(DRAWN, 0, messages=({"role": role, "content": "x"},)) for role in ("user", "system")]
    with OpenAIServer(trouble) as server:
        kept, refused = complete(opened(server), asked)
    assert (kept.finish_reason, refused.finish_reason) == ("stop", "refused")
    assert refused.text == "System role not supported"


# --- tries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [*SIX_WAYS, too_many_until], ids=lambda way: way.__name__)
def test_a_request_is_sent_as_often_as_its_retries_allow(way: Any) -> None:
    with OpenAIServer(always(way)) as server:
        message = failure_of(opened(server, "retries=1", "timeout=0.5", batch_size=1), of_all=way is SIX_WAYS[0])
        assert list(server.sent.values()) == [2]
    assert "failed 2 times, at last: " in message and message.isprintable() and "\x1b" not in message


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"choices": []}, "an empty list of choices"),
        ({"error": {"message": "upstream failed"}}, "upstream failed"),
        ({"choices": [{"text": "x", "finish_reason": "abort"}]}, "`abort`"),
    ],
    ids=["empty", "error", "abort"],
)
def test_an_answer_without_a_text_is_asked_for_again(said: Any, words: str) -> None:
    with OpenAIServer(says(said)) as server:
        assert words in failure_of(opened(server, "retries=1"))
        assert list(server.sent.values()) == [2]


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"answer": "x"}, 200, "there is no list of `choices`"),
        ([1], 200, "there is no list of `choices`"),
        ({"choices": [{"finish_reason": "stop"}]}, 200, "the choice has no text"),
        ({"choices": ["x"]}, 200, "the choice has no text"),
        ({"error": {"message": "no\nsuch \x1b[31mthing" + "!" * 5000}}, 400, "answers 400 Bad Request: no such"),
        ({"detail": "forbidden here"}, 403, "403 Forbidden: forbidden here"),
        ({"message": "The model `x` does not exist."}, 404, "404 Not Found: The model `x` does not exist."),
        ("moved", 302, "302 Found: moved"),
    ],
    ids=str,
)
def test_what_would_be_the_same_another_time_is_one_line_at_once(said: Any, status: int, words: str) -> None:
    with OpenAIServer(says(said, status)) as server:
        message = failure_of(opened(server), of_all=status in (302, 404))
        assert list(server.sent.values()) == [1]
    assert words in message and len(message) < 600 and message.isprintable()


def test_an_html_page_is_said_to_be_one() -> None:
    page = "<!doctype html><title>Welcome\nto nginx</title>"
    with OpenAIServer(says(page)) as server:
        assert "an HTML page (Welcome to nginx)" in failure_of(opened(server, "retries=0"), of_all=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("-3", 0),
        ("99999", 300),
        ("inf", 300),
        ("nan", 0),
        ("soon", 0),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_read_and_capped(header: str, seconds: float) -> None:
    assert _retry_after(header) == seconds


@pytest.mark.parametrize("reason", [["stop"], {"a": 1}, None, 3])
def test_a_reason_that_is_none_is_tried_again(reason: Any) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return None if body is None else web.json_response(answer(body, finish_reason=reason))

    with OpenAIServer(trouble) as server:
        assert "ended a text by" in failure_of(opened(server, "retries=0"))


@pytest.mark.parametrize(
    "usage", [None, [5], {"total_tokens": 99}, {"prompt_tokens": 5e6, "completion_tokens": 5}, {"prompt_tokens": 5}]
)
def test_a_cost_that_cannot_be_known_stops_the_run(usage: Any) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return None if body is None else web.json_response(answer(body) | {"usage": usage})

    with OpenAIServer(trouble) as server, pytest.raises(LatxaError, match="`--max-cost` cannot be kept"):
        complete(opened(server, "price=1/1", max_cost=5.0), requests(1))


def test_a_password_is_not_shown_in_base64_either() -> None:
    async def refuse(request: web.Request, body: Any) -> web.StreamResponse | None:
        given = request.headers.get("Authorization", "")
        return web.json_response({"error": {"message": f"Incorrect key: {given}"}}, status=401)

    with OpenAIServer(refuse) as server, pytest.raises(LatxaError) as caught:
        open_engine(MODEL, EngineOptions(base_url=server.url.replace("//", "//bob:SECRETPW@")))
    assert "Incorrect key: Basic ***" in caught.value.message
    with pytest.raises(UsageError, match="the user in `--base-url` cannot be one"):
        open_engine(MODEL, EngineOptions(base_url="http://a%3Ab:pw@localhost:1/v1"))
    with pytest.raises(LatxaError, match="its host is no name"):
        open_engine(MODEL, EngineOptions(base_url="http://a..b/v1"))


def test_retry_after_may_be_a_date() -> None:
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert _retry_after("Wed, 21 Oct 2115 07:28:00 GMT") == 300


# --- before hours are spent ------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(LatxaError, match="cannot be reached: ") as caught:
        open_engine(MODEL, EngineOptions(base_url=address))
    assert address in caught.value.message


def test_a_model_that_the_server_lacks_names_those_that_it_has() -> None:
    with OpenAIServer() as server, pytest.raises(LatxaError, match="has no model `tiny/modle`") as caught:
        open_engine("tiny/modle", EngineOptions(base_url=server.url))
    assert caught.value.hint == "it has `tiny/model`, `other/model`"


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_does_not_tell_its_models_passes(status: int) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return web.Response(status=status) if body is None else None

    with OpenAIServer(trouble) as server:
        assert len(complete(opened(server), requests(2))) == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("<html><title>Chat</title>", r"answers with an HTML page \(Chat\)"),
        ({"models": []}, "there is no list of models"),
        ({"data": [{"name": "x"}]}, "there is no list of models"),
    ],
    ids=str,
)
def test_what_is_no_such_server_is_one_line(said: Any, words: str) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return web.json_response(said) if not isinstance(said, str) else web.Response(text=said)

    with OpenAIServer(trouble) as server, pytest.raises(LatxaError, match=words):
        opened(server)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "openai"}, "needs `--base-url`"),
        ({"base_url": "localhost:8000"}, "not the address of a server"),
        ({"base_url": "http://h/v1?key=secret"}, "not the address of a server"),
        (
            {"base_url": "http://h/v1", "engine": "transformers"},
            "`--base-url` has no effect with the engine `transformers`",
        ),
        ({"base_url": "http://h/v1", "max_cost": 1.0}, "`--max-cost` needs a price"),
        ({"base_url": "http://h/v1", "trust_remote_code": True}, "but on the tokenizer"),
        ({"base_url": "http://h/v1", "engine_option": ["retry=3"]}, "no option `retry`"),
        ({"base_url": "http://h/v1", "engine_option": ["retries=-1"]}, "retries=-1`: not how often to try again"),
        ({"base_url": "http://h/v1", "engine_option": ["timeout=0"]}, "timeout=0`: not a number of seconds"),
        ({"base_url": "http://h/v1", "engine_option": ["timeout=x"]}, "timeout=x`: not a number of seconds"),
        ({"base_url": "http://h/v1", "engine_option": ["price=0.1"]}, "price=0.1`: not the price"),
        ({"base_url": "http://h/v1", "api_key": "sk-one\nsk-two"}, "characters that no key has"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_wrong_usage(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        open_engine("model", EngineOptions(**options))
    assert "secret" not in str(caught.value) + caught.value.hint and "sk-" not in str(caught.value)


def test_engine_options_are_of_their_types() -> None:
    known = {"size": int, "share": float, "eager": bool, "name": str}
    given = ["size=3", "share=0.5", "eager=true", "name=a=b"]
    assert engine_options(given, known) == {"size": 3, "share": 0.5, "eager": True, "name": "a=b"}
    assert engine_options(None, known) == {}
    wrong = {
        "size=x": "not a whole number", "share=": "not a number", "eager=yes": "not `true` or `false`",
        "sizes=3": "no option `sizes`", "size": "not `KEY=VALUE`",
    }  # fmt: skip
    for option, words in wrong.items():
        with pytest.raises(UsageError, match=words):
            engine_options([option], known)
    with pytest.raises(UsageError, match="given twice"):
        engine_options(["size=1", "size=2"], known)
    with pytest.raises(UsageError) as caught:
        engine_options(["sizes=3"], known)
    assert caught.value.hint == "did you mean `size`?"


# --- whole runs ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    prompts = [{"id": f"p{number}", "prompt": f"Question {number}?"} for number in range(240)]
    tiny.write_jsonl(folder / "prompts.jsonl", prompts)
    chats = [
        {"id": f"c{number}", "messages": [{"role": r, "content": f"Say {number} {r}"} for r in ("user", "assistant")]}
        for number in range(120)
    ]
    tiny.write_jsonl(folder / "chats.jsonl", chats)
    write_files(folder)
    return folder


RUNS = {
    "respond": ("respond", "prompts.jsonl"),
    "translate": TRANSLATE,
}


def command(verb: str, server: OpenAIServer, *more: str) -> tuple[str, ...]:
    return (*RUNS[verb], "--model", MODEL, "--base-url", server.url, "--batch-size", "32", *more)


@pytest.fixture(scope="module")
def whole(work: Path, latxa: Latxa) -> dict[str, bytes]:
    """What each run gives with a server that never fails."""
    with OpenAIServer() as server:
        done = {verb: latxa(*command(verb, server), cwd=work) for verb in RUNS}
        assert set(server.sent.values()) == {1}
    for verb, count in (("respond", 240), ("translate", 120)):
        assert done[verb].returncode == 0, done[verb].stderr.decode()
        assert len(done[verb].stdout.splitlines()) == count
    return {verb: result.stdout for verb, result in done.items()}


PATIENT = ("--engine-option", "retries=6", "--engine-option", "timeout=2")


@pytest.mark.parametrize("verb", list(RUNS))
def test_nothing_is_lost_or_doubled_with_a_server_that_fails(
    verb: str, work: Path, whole: dict[str, bytes], latxa: Latxa
) -> None:
    unreliable = Unreliable(0.3, most=5)
    with OpenAIServer(unreliable) as server:
        done = latxa(*command(verb, server, *PATIENT), cwd=work)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == whole[verb]
        assert max(server.sent.values()) <= 7 and len(server.sent) == 240
    assert len(unreliable.by_way) == 6, "it failed in every way"
    assert len(server.bodies) >= 240 + unreliable.by_way.total(), "all that failed was sent again"


@pytest.mark.parametrize("verb", list(RUNS))
def test_nothing_is_lost_or_doubled_over_kills(
    verb: str, work: Path, whole: dict[str, bytes], latxa: Latxa, fork_server: Server, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    with OpenAIServer(Unreliable(0.3, most=3)) as server:
        arguments = command(verb, server, *PATIENT, "-o", str(output), "--resume")
        for _ in range(3):
            server.limit = len(server.bodies) + 70
            process = Call(fork_server, [tiny.BINARY, *arguments], cwd=work, stderr=subprocess.PIPE)
            while len(server.bodies) <= server.limit:
                assert process.poll() is None
                time.sleep(0.01)
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
        server.limit = None
        done = latxa(*arguments, cwd=work)
        assert done.returncode == 0, done.stderr.decode()
    assert output.read_bytes() == whole[verb]


def _lines(output: Path) -> int:
    part = output.with_name(output.name + ".part")
    return part.read_bytes().count(b"\n") if part.exists() else 0


def test_an_interrupt_ends_it_in_one_line(work: Path) -> None:
    with OpenAIServer(always(hang)) as server:
        process = subprocess.Popen(
            [tiny.BINARY, *command("respond", server)], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        while len(server.bodies) < 32:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines() == ["latxa: interrupted", "hint: with `-o FILE`, `--resume` continues"]


def test_a_reader_that_stops_ends_it(work: Path, whole: dict[str, bytes]) -> None:
    with OpenAIServer() as server:
        server.delay = 0.02
        process = subprocess.Popen(
            [tiny.BINARY, *command("respond", server, "-q")], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == whole["respond"].splitlines(keepends=True)[0]
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
        process.stderr.close()


def test_the_key_is_never_shown(work: Path, latxa: Latxa, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with OpenAIServer(key=KEY) as server:
        arguments = command("respond", server, "-v", "-o", str(output), "--take", "5")
        done = latxa(*arguments, cwd=work, env=os.environ | {"OPENAI_API_KEY": KEY + "\n"})
        assert done.returncode == 0, done.stderr.decode()
        engine = opened(server, api_key=KEY)
        assert KEY not in repr(engine) + repr(EngineOptions(api_key=KEY)) + repr(engine.facts())
        assert KEY not in repr(vars(engine)) and KEY not in repr(engine.server)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert KEY.encode() not in done.stdout + done.stderr + written
    facts = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())["engine"]
    assert facts["engine"] == "openai" and facts["model"] == MODEL and facts["base_url"] == server.url

    with OpenAIServer(key="another") as server:  # which repeats the key that it refuses
        done = latxa(*command("respond", server), cwd=work, env=os.environ | {"OPENAI_API_KEY": KEY})
    said = done.stderr.decode()
    assert done.returncode == 1 and "401 Unauthorized: Incorrect API key provided: Bearer ***" in said
    assert "is the key in `OPENAI_API_KEY`" in said and KEY not in said and len(said.splitlines()) == 2


def test_a_password_in_the_address_is_used_and_never_shown(work: Path, latxa: Latxa, tmp_path: Path) -> None:
    seen = set()

    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        seen.add(request.headers["Authorization"])
        return None if body is None else await internal(request)

    with OpenAIServer(trouble) as server:
        address = server.url.replace("://", "://me:pa55word@")
        done = latxa(
            *RUNS["respond"], "--model", MODEL, "--base-url", address, "--engine-option", "retries=0", cwd=work
        )
    assert seen == {"Basic bWU6cGE1NXdvcmQ="}
    assert done.returncode == 1 and b"500" in done.stderr and b"pa55word" not in done.stderr


def test_a_wrong_model_is_one_line_before_anything_is_sent(work: Path, latxa: Latxa) -> None:
    with OpenAIServer() as server:
        done = latxa(*RUNS["respond"], "--model", "model", "--base-url", server.url + "/", cwd=work)
        assert done.returncode == 0, "the last part of the name is enough: " + done.stderr.decode()
        done = latxa(*RUNS["respond"], "--model", "models", "--base-url", server.url, cwd=work)
        assert done.returncode == 1 and len(server.bodies) == 240
    assert done.stderr.decode().splitlines()[0].endswith("has no model `models`")


def test_the_cost_ends_a_run_that_then_goes_on(
    work: Path, whole: dict[str, bytes], latxa: Latxa, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    priced = ("--max-tokens", "50", "--engine-option", "price=100/1000", "-o", str(output), "--resume")
    with OpenAIServer() as server:
        stopped = latxa(*command("respond", server, *priced, "--max-cost", "0.5"), cwd=work)
        assert stopped.returncode == 1
        said = re.fullmatch(
            r"latxa: `--max-cost 0.5` does not cover another request: (0\.\d+) is spent in this run .*\n"
            r"hint: with `-o FILE`, `--resume` goes on .*\n",
            stopped.stderr.decode(),
        )
        assert said and 0.3 < float(said[1]) <= 0.5
        first = len(server.bodies)
        assert _lines(output) == first < 120, "all that was paid for is kept"
        done = latxa(*command("respond", server, *priced, "--max-cost", "100"), cwd=work)
        assert done.returncode == 0, done.stderr.decode()
        assert set(server.sent.values()) == {1} and len(server.sent) == 240, "nothing is paid for twice"
    assert output.read_bytes() == whole["respond"]


def test_the_manifest_holds_the_tokens_and_the_cost_of_the_run(work: Path, latxa: Latxa, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with OpenAIServer(owner="vllm") as server:
        done = latxa(*command("translate", server, "--engine-option", "price=2/3", "-o", str(output)), cwd=work)
        assert done.returncode == 0, done.stderr.decode()
    facts = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())["engine"]
    words = sum(len(text_for(body).split()) for body in server.bodies)
    assert (facts["server"], facts["server_version"]) == ("vllm", "0.32.0")
    assert (facts["prompt_tokens"], facts["completion_tokens"]) == (2400, words)
    assert facts["spent"] == pytest.approx((2400 * 2 + words * 3) / 1e6, abs=1e-6)


def test_a_cost_that_cannot_be_kept_is_said() -> None:
    said = {"choices": [{"text": "x", "finish_reason": "stop"}]}
    with OpenAIServer(says(said)) as server, pytest.raises(LatxaError, match="`--max-cost` cannot be kept"):
        complete(opened(server, "price=1/1", max_cost=1.0), requests(1))


def test_magpie_needs_the_chat_template_and_uses_it(latxa: Latxa, tiny_models: Path) -> None:
    with OpenAIServer() as server:
        magpie = ("sample", "-n", "12", "--model", MODEL, "--base-url", server.url)
        done = latxa(*magpie)
        assert done.returncode == 2 and server.bodies == []
        assert "hint: `--engine-option tokenizer=MODEL` names it" in done.stderr.decode()
        done = latxa(*magpie, "--engine-option", f"tokenizer={tiny_models / 'trained'}", "--skip", "near")
        assert done.returncode == 0, done.stderr.decode()
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 12 and len(server.bodies) == 24 and set(server.paths) == {"/v1/completions"}
    answers = {body["prompt"]: text_for(body).strip() for body in server.bodies}
    for record in records:
        instruction, reply = (message["content"] for message in record["messages"])
        assert any(instruction in prompt and text == reply for prompt, text in answers.items())
