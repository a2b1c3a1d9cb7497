"""What is around every engine: the requests that it takes, and the choice of an engine."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from fake_engine import FakeEngine
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.generation import engine
from latxa_cli.generation.engine import Decoding, EngineOptions, Request, open_engine, windows
from latxa_cli.stream.errors import LatxaError, UsageError


def requests(count: int) -> list[Request]:
    return [Request(Decoding(), seed, "x") for seed in range(count)]


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 7))
def test_requests_are_gathered_until_others_must_wait(given: list[bool], size: int) -> None:
    stream = [request if asked else None for asked, request in zip(given, requests(len(given)), strict=True)]
    batches = list(windows(iter(stream), size))
    wanted = [request for request in stream if request is not None]
    assert [entry for batch in batches for entry in batch] == list(enumerate(wanted))
    assert all(0 < len(batch) <= size for batch in batches)


def test_no_more_requests_are_taken_than_are_given() -> None:
    stream = iter(requests(10))
    next(windows(stream, 3))
    assert next(stream).seed == 3


def test_the_fake_engine_keeps_the_protocol() -> None:
    fake = FakeEngine(lambda request: str(request.seed))
    completions = dict(fake.generate(requests(10)))
    assert {place: completion.text for place, completion in completions.items()} == {n: str(n) for n in range(10)}


GIVEN: dict[str, Any] = {
    "batch_size": 3, "device": "cpu", "gpu_memory": 0.5, "base_url": "http://h/v1", "max_cost": 2.0,
    "engine_option": ("a=b",), "trust_remote_code": True,
}  # fmt: skip
NO_EFFECT = {
    "transformers": {"gpu_memory", "base_url", "max_cost", "engine_option"},
    "vllm": {"base_url", "max_cost"},
    "openai": {"device", "gpu_memory"},
}


@pytest.mark.parametrize("flag", GIVEN)
@pytest.mark.parametrize("name", NO_EFFECT)
def test_a_flag_that_has_no_effect_with_an_engine_is_told_before_anything_is_loaded(
    name: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(engine, "find_spec", lambda library: loaded.append(library))  # None: none is installed
    address = {"base_url": "http://h/v1"} if name == "openai" else {}
    options = EngineOptions(**{"engine": name, **address, flag: GIVEN[flag]})
    with pytest.raises(LatxaError) as caught:
        open_engine("model", options)
    if flag not in NO_EFFECT[name]:
        assert caught.value.message == f"the engine `{name}` is not installed" and len(loaded) == 1
        return
    assert caught.value.message == f"`--{flag.replace('_', '-')}` has no effect with the engine `{name}`"
    assert isinstance(caught.value, UsageError) and not loaded
    others = [other for other in NO_EFFECT if flag not in NO_EFFECT[other]]
    assert caught.value.hint == "it is for " + " and ".join(f"`{other}`" for other in others)


def test_all_flags_of_engines_are_known_to_the_table() -> None:
    assert set(GIVEN) == {one.name for one in fields(EngineOptions)} - {"engine", "verbose", "api_key", "say", "day"}


@pytest.mark.parametrize(
    ("given", "chosen"),
    [({}, "vllm"), ({"device": "cpu"}, "transformers"), ({"device": "cuda"}, "vllm"),
     ({"base_url": "http://h/v1"}, "openai"), ({"engine": "transformers"}, "transformers")],
)  # fmt: skip
def test_the_engine_that_is_chosen_where_there_is_a_gpu(
    given: dict[str, Any], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(engine, "find_spec", lambda library: library)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    opened: list[str] = []
    monkeypatch.setattr(engine, "import_module", lambda module: SimpleNamespace(load=lambda *_: opened.append(module)))
    monkeypatch.setattr(engine, "check", lambda model: None)
    open_engine("model", EngineOptions(**given))
    assert opened == [f"latxa_cli.generation.{chosen}"]


def test_without_a_gpu_or_without_vllm_the_engine_is_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(engine, "find_spec", lambda library: library)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="`--max-cost` has no effect with the engine `transformers`"):
        open_engine("model", EngineOptions(max_cost=1.0))
    monkeypatch.setattr(engine, "find_spec", lambda library: None if library == "vllm" else library)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="`--gpu-memory` has no effect with the engine `transformers`"):
        open_engine("model", EngineOptions(gpu_memory=0.5))


def test_a_server_needs_an_address() -> None:
    with pytest.raises(UsageError, match="`--engine openai` needs `--base-url`"):
        open_engine("model", EngineOptions(engine="openai"))


def test_an_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no engine `transformer`") as caught:
        open_engine("tiny", EngineOptions(engine="transformer"))
    assert "`transformers`" in caught.value.hint


def test_windows_may_begin_small() -> None:
    asked = [Request(Decoding(), seed) for seed in range(20)]
    assert [len(window) for window in windows(iter(asked), 8, 2)] == [2, 2, 4, 8, 4]
    assert [len(window) for window in windows(iter(asked), 8, 9)] == [9, 8, 3]
    assert [place for window in windows(iter(asked), 8, 3) for place, _ in window] == list(range(20))
    with_pauses = [asked[0], None, *asked[1:]]
    assert [len(window) for window in windows(iter(with_pauses), 8, 2)] == [1, 2, 4, 8, 5]
