"""One request that a server refuses for good is one rejected record; what concerns all requests ends the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from aiohttp import web
from backwards import translation
from fake_engine import FakeEngine
from openai_server import MODEL, OpenAIServer, Trouble, answer, internal, reset, text_for
from tiny import Latxa
from unchecked import TRANSLATE, write_files

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, open_engine
from latxa_cli.generation.flow import MOST_FAILED, Exchange, converse
from latxa_cli.generation.speaker import Speaker
from latxa_cli.sampling.filters import Filters
from latxa_cli.sampling.magpie import Magpie, draw
from latxa_cli.sampling.respond import respond
from latxa_cli.sampling.reverse import Reversal, reverse
from latxa_cli.sampling.tags import Tagger, load_tags
from latxa_cli.sampling.tasks import Task
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Reject
from latxa_cli.translation.translate import translate

QUICK = ("--engine-option", "retries=1", "--batch-size", "4")


# --- in a row --------------------------------------------------------------------------------------------------------


def ask(item: int | None) -> Exchange:
    """Ask once, or (None) not at all."""
    completions = yield [] if item is None else [Request(Decoding(), item)]
    return {"text": completions[0].text if completions else "unasked"}


def held(fails: Callable[[int], bool], items: list[int | None], window: int = 4) -> tuple[list[str], str]:
    """Return what was written, and the error that ended it."""

    def said(request: Request) -> Completion:
        return Completion("no", "failed", 0, 0) if fails(request.seed) else Completion(str(request.seed), "stop", 1, 1)

    written = []
    try:
        written.extend(outcome["text"] for outcome in converse(FakeEngine(said, window), items, ask))  # type: ignore
    except LatxaError as error:
        return written, error.message
    return written, ""


@pytest.mark.parametrize("window", [1, 4, 100])
def test_a_few_in_a_row_are_written(window: int) -> None:
    few = range(5, 5 + MOST_FAILED - 1)
    written, error = held(lambda seed: seed in few or seed % 9 == 1, list(range(60)), window)
    assert error == "" and len(written) == 60
    assert [seed for seed, text in enumerate(written) if text == "no"] == [
        seed for seed in range(60) if seed in few or seed % 9 == 1
    ]


def test_many_in_a_row_end_it_and_are_not_written() -> None:
    written, error = held(lambda seed: seed >= 7, [None, *range(60)], 8)
    assert written == ["unasked", *map(str, range(7))]
    assert error == f"{MOST_FAILED} requests in a row failed, at last: no"


def test_what_was_not_asked_parts_no_row() -> None:
    items = [number if number % 2 else None for number in range(200)]
    written, error = held(lambda seed: True, items)
    assert written == ["unasked"] and error


def test_the_last_ones_are_written_whatever_they_are() -> None:
    assert held(lambda seed: seed > 1, [0, 1, 2, 3]) == (["0", "1", "no", "no"], "")


# --- what the verbs make of it ---------------------------------------------------------------------------------------

FAILED = Completion("answers 400: not that", "failed", 0, 0)
FILTERED = Completion("The sea is", "filtered", 3, 3)
REASONS = {FAILED: "request failed", FILTERED: "stopped by the content filter"}


@pytest.mark.parametrize("completion", REASONS, ids=lambda one: one.finish_reason)
def test_every_verb_rejects_the_record_with_the_words(completion: Completion) -> None:
    engine, decoding = FakeEngine(lambda request: completion), Decoding(9)
    filters = Filters(frozenset())
    prompt = {"id": "p", "prompt": "Why?"}
    document = {"id": "d", "text": "The sea is blue."}
    chat = {"id": "c", "messages": [{"role": "user", "content": "Why?"}]}
    magpie = Magpie(lambda messages, system: tiny_query(), [Task("general")], filters, 0, "tiny")
    outcomes = [
        *respond([prompt], engine, decoding, Speaker("tiny"), seed=0),
        *reverse([document], engine, Reversal(decoding, filters, "Basque", "English", (), 99, 0, "tiny")),
        *translate([chat], engine, translation()),
        *draw([0], engine, magpie),
    ]
    assert len(outcomes) == 4
    for outcome in outcomes:
        assert isinstance(outcome, Reject) and outcome.reason == REASONS[completion]
        assert outcome.detail.endswith(completion.text)
    assert [outcome.record for outcome in outcomes[:3]] == [prompt, document, chat]  # type: ignore[union-attr]


def tiny_query() -> Any:
    from latxa_cli.chat.pre_query import PreQuery

    return PreQuery("<user>", "<assistant>")


def test_words_of_a_server_are_neither_a_turn_nor_a_label() -> None:
    def said(request: Request) -> Completion:
        if request.prompt == "<user>":
            return Completion("What is the sea?", "stop", 1, 4)
        return Completion("not a good request", "failed", 0, 0)

    magpie = Magpie(lambda messages, system: tiny_query(), [Task("general")], Filters(frozenset()), 0, "tiny")
    (reject,) = draw([0], FakeEngine(said), magpie)
    assert isinstance(reject, Reject)
    assert [message["role"] for message in reject.record["messages"]] == ["user"]
    record = {"id": "c", "metadata": {}, "messages": [{"role": "user", "content": "Why?"}]}
    tagger = Tagger(load_tags(["quality"]))
    (tagged,) = converse(FakeEngine(said), [record], tagger.tag)
    assert isinstance(tagged, dict) and tagged["metadata"]["tags"] == {"quality": None}
    assert tagger.unread == {"quality": 1}


# --- servers ---------------------------------------------------------------------------------------------------------


def says(status: int, said: Any) -> Callable[[web.Request], Any]:
    async def make(_: web.Request) -> web.StreamResponse:
        if isinstance(said, bytes):
            return web.Response(body=said, status=status, content_type="application/json")
        return web.json_response(said, status=status)

    return make


CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x"}, "text": "x"}
# What a server does with one prompt, and the words that the entry among the rejects must hold.
WAYS: dict[str, tuple[Callable[[web.Request], Any], str]] = {
    "filter": (says(400, {"error": {"message": "flagged by the filter", "code": "content_filter"}}), "flagged by the"),
    "forbidden": (says(403, {"error": {"message": "moderation required"}}), "moderation required"),
    "unprocessable": (says(422, {"detail": [{"msg": "odd input"}]}), "odd input"),
    "internal": (internal, "500 Internal Server Error"),
    "surrogate": (says(200, b'{"choices": [{"text": "\\ud800", "finish_reason": "stop"}]}'), "not JSON"),
    "nothing": (says(200, b""), "not JSON"),
    "reason": (says(200, {"choices": [CHOICE | {"finish_reason": "weird"}]}), "`weird`"),
    "tools": (says(200, {"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": []}}]}), "no text"),
    "reset": (reset, "broke off the connection"),
    "ended": (says(200, {"choices": [CHOICE | {"finish_reason": "content_filter", "text": "", "message": {
        "content": None}}], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}), ""),
}  # fmt: skip


def poisoned(make: Callable[[web.Request], Any], word: str = "POISON") -> Trouble:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return await make(request) if body is not None and word in json.dumps(body) else None

    return trouble


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("failed")
    texts = [f"{'POISON' if number == 3 else 'Word'} number {number} is here" for number in range(9)]
    chats = [{"id": f"c{n}", "messages": [{"role": "user", "content": text}]} for n, text in enumerate(texts)]
    tiny.write_jsonl(folder / "prompts.jsonl", chats)
    tiny.write_jsonl(folder / "chats.jsonl", chats)
    tiny.write_jsonl(folder / "documents.jsonl", [{"id": f"c{n}", "text": text} for n, text in enumerate(texts)])
    write_files(folder)
    return folder


VERBS = {
    "respond": ("respond", "prompts.jsonl"),
    "translate": TRANSLATE,
    "reverse": ("reverse", "documents.jsonl", "--from", "Basque", "--skip", "near", "--skip", "duplicate"),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_refused_record_is_set_aside_and_the_run_goes_on(
    way: str, work: Path, latxa: Latxa, tmp_path: Path
) -> None:
    make, words = WAYS[way]
    with OpenAIServer(poisoned(make)) as server:
        given = ("-m", MODEL, "--base-url", server.url, *QUICK, "--rejects", str(tmp_path / "no.jsonl"))
        done = latxa(*VERBS["respond"], *given, cwd=work)
    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [f"c{n}" for n in range(9) if n != 3]
    (entry,) = [json.loads(line) for line in (tmp_path / "no.jsonl").read_text().splitlines()]
    assert entry["record"]["id"] == "c3" and words in entry["detail"]
    assert entry["reason"] == ("stopped by the content filter" if way == "ended" else "request failed")
    assert entry["reason"].encode() in done.stderr


def test_keys_that_a_server_quotes_are_hidden_in_rejects_and_its_words_are_no_python(
    work: Path, latxa: Latxa, tmp_path: Path
) -> None:
    said = {"error": {"message": "upstream: key sk-0123456789abcdefghijklmnop", "code": 429}}
    for status in (400, 200):
        rejects = tmp_path / f"{status}.jsonl"
        with OpenAIServer(poisoned(says(status, said))) as server:
            given = ("-m", MODEL, "--base-url", server.url, *QUICK, "--rejects", str(rejects))
            done = latxa(*VERBS["respond"], *given, cwd=work)
        assert done.returncode == 0, done.stderr.decode()
        (entry,) = [json.loads(line) for line in rejects.read_text().splitlines()]
        assert entry["detail"].endswith("upstream: key ***")


@pytest.mark.parametrize("verb", ["translate", "reverse"])
def test_other_verbs_too(verb: str, work: Path, latxa: Latxa, tmp_path: Path) -> None:
    with OpenAIServer(poisoned(says(400, {"error": {"message": "flagged"}}))) as server:
        given = ("-m", MODEL, "--base-url", server.url, *QUICK, "--rejects", str(tmp_path / "no.jsonl"))
        done = latxa(*VERBS[verb], *given, cwd=work)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) == 8
    (entry,) = [json.loads(line) for line in (tmp_path / "no.jsonl").read_text().splitlines()]
    assert entry["record"]["id"] == "c3" and "400 Bad Request: flagged" in entry["detail"]


def test_draws_too(latxa: Latxa, tiny_models: Path, tmp_path: Path) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None:
            return None
        if body["seed"] % 3 == 0:
            return web.json_response({"error": {"message": "flagged"}}, status=400)
        return web.json_response(answer(body, text=f"What is number {body['seed']} good for"))

    given = ("--engine-option", f"tokenizer={tiny_models / 'trained'}", "--skip", "near", *QUICK)
    with OpenAIServer(trouble) as server:
        rejects = tmp_path / "no.jsonl"
        done = latxa("sample", "-n", "20", "-m", MODEL, "--base-url", server.url, *given, "--rejects", str(rejects))
    assert done.returncode == 0, done.stderr.decode()
    entries = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert {entry["reason"] for entry in entries} == {"request failed"}
    assert len(done.stdout.splitlines()) + len(entries) == 20 and 0 < len(entries) < 20


@pytest.mark.parametrize(("status", "words"), [(401, "401"), (402, "402"), (404, "404"), (429, "429")])
def test_what_concerns_all_ends_the_run_and_nothing_is_written(
    status: int, words: str, work: Path, latxa: Latxa, tmp_path: Path
) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or len(server.bodies) < 5:
            return None
        return web.json_response({"error": {"message": "no"}}, status=status)

    output, rejects = tmp_path / "out.jsonl", tmp_path / "no.jsonl"
    with OpenAIServer(trouble) as server:
        given = ("-m", MODEL, "--base-url", server.url, "--engine-option", "retries=0", "--batch-size", "1")
        done = latxa(*VERBS["respond"], *given, "-o", str(output), "--rejects", str(rejects), cwd=work)
    assert done.returncode == 1 and words in done.stderr.decode() and not output.exists() and not rejects.exists()


def test_a_server_that_refuses_all_ends_the_run_and_resume_asks_again(work: Path, latxa: Latxa, tmp_path: Path) -> None:
    many, output = tmp_path / "many.jsonl", tmp_path / "out.jsonl"
    tiny.write_jsonl(many, [{"id": f"p{n}", "prompt": f"Question {n}?"} for n in range(100)])
    broken = True

    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or not broken or body["messages"][0]["content"] in [f"Question {n}?" for n in range(20)]:
            return None
        return web.json_response({"error": {"message": "maintenance"}}, status=503)

    with OpenAIServer(trouble) as server:
        given = ("-m", MODEL, "--base-url", server.url, "--engine-option", "retries=0", "-o", str(output), "--resume")
        ended = latxa("respond", str(many), *given)
        said = ended.stderr.decode()
        assert ended.returncode == 1 and said.startswith(f"latxa: {MOST_FAILED} requests in a row failed, at last: ")
        assert "503 Service Unavailable: maintenance" in said and "`--resume` goes on" in said
        broken = False
        done = latxa("respond", str(many), *given)
    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(line)["id"] for line in output.read_text().splitlines()] == [f"p{n}" for n in range(100)]


def test_a_server_that_is_gone_ends_the_run(work: Path, latxa: Latxa) -> None:
    async def page(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or len(server.bodies) < 5:
            return None
        return web.Response(text="<html><title>Moved</title></html>", content_type="text/html")

    with OpenAIServer(page) as server:
        given = ("-m", MODEL, "--base-url", server.url, "--engine-option", "retries=0", "--batch-size", "1")
        done = latxa(*VERBS["respond"], *given, cwd=work)
    assert done.returncode == 1 and "an HTML page (Moved)" in done.stderr.decode()


@pytest.mark.parametrize(
    "message",
    [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Unrecognized request argument supplied: max_tokens",
    ],
)
def test_a_server_that_knows_max_tokens_by_another_name_gets_that(message: str) -> None:
    async def newer(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or "max_tokens" not in body:
            return None
        return web.json_response({"error": {"message": message}}, status=400)

    with OpenAIServer(newer) as server:
        engine = open_engine(MODEL, EngineOptions(base_url=server.url, batch_size=1))
        asked = [Request(Decoding(7), seed, messages=({"role": "user", "content": "x"},)) for seed in range(3)]
        found = dict(engine.generate(asked))
    assert [found[place].text for place in range(3)] == [text_for(server.bodies[place]) for place in (1, 2, 3)]
    assert [body.get("max_tokens") for body in server.bodies] == [7, None, None, None]
    assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 7, 7, 7]


def test_a_long_wait_that_a_server_asks_for_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from latxa_cli.generation import http as room

    monkeypatch.setattr(room, "LONG_WAIT", 0.4)
    said: list[str] = []

    async def busy(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or len(server.bodies) > 4:
            return None
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "0.5"})

    with OpenAIServer(busy) as server:
        engine = open_engine(MODEL, EngineOptions(base_url=server.url, batch_size=4, say=said.append))
        assert len(list(engine.generate([Request(Decoding(7), seed, text="x") for seed in range(4)]))) == 4
    (line,) = said
    assert line.startswith("waiting 0 s: `http") and "429 Too Many Requests: slow down (Retry-After: 0.5)" in line


def test_the_shared_case(latxa: Latxa, shared_cases: Path, tmp_path: Path) -> None:
    given = shared_cases / "refused-record" / "poison.jsonl"
    ids = [json.loads(line)["id"] for line in given.read_text().splitlines()]
    with OpenAIServer(poisoned(says(400, {"error": {"message": "no POISON here"}}))) as server:
        rejects = tmp_path / "no.jsonl"
        done = latxa("respond", str(given), "-m", MODEL, "--base-url", server.url, "--rejects", str(rejects))
    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [name for name in ids if name != "3"]
    assert "no POISON here" in json.loads(rejects.read_text())["detail"]
