"""What is around every engine: the requests that it takes, and the choice of an engine."""

from __future__ import annotations

import pytest
from fake_engine import FakeEngine
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.generation.engine import Decoding, EngineOptions, Request, gathered, open_engine
from latxa_cli.stream.errors import UsageError


def requests(count: int) -> list[Request]:
    return [Request(Decoding(), seed, "x") for seed in range(count)]


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 7))
def test_requests_are_gathered_until_others_must_wait(given: list[bool], size: int) -> None:
    stream = [request if asked else None for asked, request in zip(given, requests(len(given)), strict=True)]
    batches = list(gathered(iter(stream), size))
    wanted = [request for request in stream if request is not None]
    assert [entry for batch in batches for entry in batch] == list(enumerate(wanted))
    assert all(0 < len(batch) <= size for batch in batches)


def test_no_more_requests_are_taken_than_are_given() -> None:
    stream = iter(requests(10))
    next(gathered(stream, 3))
    assert next(stream).seed == 3


def test_the_fake_engine_keeps_the_protocol() -> None:
    engine = FakeEngine(lambda request: str(request.seed))
    completions = dict(engine.generate(requests(10)))
    assert {place: completion.text for place, completion in completions.items()} == {n: str(n) for n in range(10)}


def test_an_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no engine `transformer`") as caught:
        open_engine("tiny", EngineOptions(engine="transformer"))
    assert "`transformers`" in caught.value.hint
