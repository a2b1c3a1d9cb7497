"""Requests with a JSON schema: what servers are sent, and what becomes of those that know no schemas."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from openai_server import MODEL, OpenAIServer

from latxa_cli.generation.choosing import ahead
from latxa_cli.generation.engine import Decoding, EngineOptions, Request, open_engine
from latxa_cli.generation.lines import choices_of, constraint, line_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TURN = {"role": "user", "content": "Say a."}


def requests(count: int = 3) -> list[Request]:
    return [Request(Decoding(9), seed, messages=(TURN,), schema=SCHEMA) for seed in range(count)]


def asked(server: OpenAIServer, given: list[Request]) -> tuple[Any, list[str]]:
    engine: Any = open_engine(MODEL, EngineOptions(base_url=server.url, batch_size=1))
    completions = sorted(engine.generate(iter(given)), key=lambda entry: entry[0])
    return engine, [completion.finish_reason for _, completion in completions]


def test_a_server_is_sent_the_standard_field() -> None:
    with OpenAIServer() as server:
        engine, reasons = asked(server, requests(1))
        (body,) = server.bodies
    assert body["response_format"]["type"] == "json_schema" and reasons == ["stop"] and engine.constrains
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["response_format"]["json_schema"]["strict"] is True and "structured_outputs" not in body


def test_only_vllm_is_sent_its_own_field_for_plain_texts_too() -> None:
    plain = Request(Decoding(9), text="a", schema=SCHEMA)
    for owner, expected in (("vllm", {"regex": line_of(SCHEMA)}), ("somebody", None)):
        with OpenAIServer(owner=owner) as server:
            asked(server, [plain, *requests(1)])
            assert [body.get("structured_outputs") for body in server.bodies] == [expected, expected]
            assert ["response_format" in body for body in server.bodies] == [False, owner != "vllm"]


def test_without_a_schema_nothing_is_sent() -> None:
    with OpenAIServer() as server:
        asked(server, [Request(Decoding(9), messages=(TURN,))])
        assert not {"response_format", "structured_outputs"} & set(server.bodies[0])


@pytest.mark.parametrize(
    ("status", "words"), [(400, "response_format is not supported"), (422, "extra fields: json_schema")]
)
def test_a_server_that_refuses_schemas_is_asked_without_one_from_then_on(status: int, words: str) -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body and "response_format" in body:
            return web.json_response({"error": {"message": words}}, status=status)
        return None

    with OpenAIServer(trouble) as server:
        engine, reasons = asked(server, requests())
        assert ["response_format" in body for body in server.bodies] == [True, False, False, False]
    assert reasons == ["stop"] * 3 and not engine.constrains


def test_another_refusal_stays_one() -> None:
    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        return web.json_response({"error": {"message": "flagged"}}, status=400) if body else None

    with OpenAIServer(trouble) as server:
        engine, reasons = asked(server, requests(1))
        assert len(server.bodies) == 1
    assert reasons == ["failed"] and engine.constrains


# --- objects of texts in one line ------------------------------------------------------------------------------------


def texts_by(keys: list[str]) -> dict[str, Any]:
    properties = {key: {"type": "string"} for key in keys}
    return {"type": "object", "properties": properties, "required": keys, "additionalProperties": False}


NO_SURROGATES = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)


@given(st.dictionaries(NO_SURROGATES, NO_SURROGATES, min_size=1, max_size=4))
def test_whatever_json_writes_of_texts_is_in_the_line(texts: dict[str, str]) -> None:
    line = line_of(texts_by(list(texts)))
    assert line is not None and re.fullmatch(line, " " + json.dumps(texts, ensure_ascii=False))


@pytest.mark.parametrize(
    "written",
    [
        '{\n"a": "x", "b": "y"}', '{"a":"x", "b": "y"}', '{"b": "x", "a": "y"}', '{"a": "x"}', '{"a": "x", "b": 3}',
        '{"a": "x", "b": "y", "c": "z"}', '{"a": "x\ny", "b": "y"}', '{"a": "x", "b": "\\ud83d"}',
        '{"a": "\\", "b": "y"}',
        '{"a": "x", "b": "y"} ', '{"a": "x", "b": "\x00"}',
    ],
)  # fmt: skip
def test_what_is_not_in_the_line(written: str) -> None:
    line = line_of(texts_by(["a", "b"]))
    assert line is not None and not re.fullmatch(line, written)
    assert re.fullmatch(line, '{"a": "\\u00e9 \\"x\\"", "b": ""}')


def test_texts_may_have_a_length() -> None:
    line = line_of(SCHEMA | {"properties": {"a": {"type": "string", "maxLength": 3}}})
    assert line is not None and re.fullmatch(line, '{"a": "x\\ny"}') and not re.fullmatch(line, '{"a": "abcd"}')


@pytest.mark.parametrize(
    "changes",
    [
        {"additionalProperties": True}, {"required": []}, {"type": "array"}, {"properties": {}},
        {"properties": {"a": {"type": "number"}}}, {"properties": {"a": {"type": "string", "pattern": "x"}}},
    ],
)  # fmt: skip
def test_schemas_of_more_than_texts_stay_schemas(changes: dict[str, Any]) -> None:
    schema = SCHEMA | changes
    assert line_of(schema) is None and constraint(schema) == {"json": schema}


# --- objects of enumerations -----------------------------------------------------------------------------------------


def enumerations(of: dict[str, list[Any]]) -> dict[str, Any]:
    return texts_by(list(of)) | {"properties": {key: {"enum": values} for key, values in of.items()}}


VALUES = st.lists(st.integers(-20, 200) | NO_SURROGATES, min_size=1, max_size=4)


@given(st.dictionaries(NO_SURROGATES, VALUES, min_size=1, max_size=4), st.data())
def test_an_enumeration_is_a_choice_and_an_expression(of: dict[str, list[Any]], data: st.DataObject) -> None:
    line, choices = line_of(enumerations(of)), choices_of(enumerations(of))
    assert line is not None and choices is not None
    written = json.dumps({key: data.draw(st.sampled_from(values)) for key, values in of.items()}, ensure_ascii=False)
    assert re.fullmatch(line, written)
    for end in range(len(written) + 1):
        texts, complete = ahead(choices, written[:end])
        assert any(text.startswith(written[: end + 1]) for text in texts) and complete == (end == len(written))
    assert ahead(choices, written[:-1] + "?") == ([], False)


def test_texts_and_numbers_beside_each_other_are_one_line_but_no_choice() -> None:
    schema = enumerations({"a": [1, 10]}) | {"properties": {"a": {"type": "string"}, "b": {"enum": [1, 10]}}}
    schema |= {"required": ["a", "b"]}
    line = line_of(schema)
    assert (
        line is not None and re.fullmatch(line, '{"a": "x", "b": 10}') and not re.fullmatch(line, '{"a": "", "b": 2}')
    )
    assert choices_of(schema) is None and choices_of(SCHEMA) is None


def test_what_is_ahead_of_many_choices_is_looked_at_in_parts() -> None:
    choices = choices_of(enumerations({key: list(range(200)) for key in "abcdef"}))
    assert choices is not None
    texts, complete = ahead(choices, '{"a": 1')
    assert {text[7:8] for text in texts} == {*"0123456789,"} and len(texts) <= 200 and not complete
