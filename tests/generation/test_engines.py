"""What every engine that runs a model itself must do, with a real tiny model, for each that is installed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, open_engine
from latxa_cli.model import load_model

GREEDY = Decoding(12)
DRAWN = Decoding(12, temperature=1.0, top_p=0.9)
OPTIONS = {
    "transformers": EngineOptions(engine="transformers", batch_size=4, device="cpu"),
    "vllm": EngineOptions(
        engine="vllm",
        batch_size=4,
        engine_option=(
            "enforce_eager=true",
            "kv_cache_memory_bytes=64M",
            "dtype=float32",
            "max_num_batched_tokens=256",
        ),
    ),
}


@pytest.fixture(scope="module", params=list(OPTIONS))
def engine(request: pytest.FixtureRequest, tiny_models: Path) -> Any:
    if find_spec(request.param) is None:
        pytest.skip(f"`{request.param}` is not installed: `recipes/test-{request.param}.sh` runs its tests")
    return open_engine(str(tiny_models / "trained"), OPTIONS[request.param])


@pytest.fixture(scope="module")
def network(tiny_models: Path) -> Any:
    """The model itself, to compare with."""
    return load_model(str(tiny_models / "trained"), device="cpu").eval()


def prompts(count: int) -> list[str]:
    draw = random.Random(1)
    words = ["harbour", "storm", "lamps", "the", "old", "quiet"]
    return ["English: " + " ".join(draw.choices(words, k=draw.randint(1, 9))) + "\nEuskara:" for _ in range(count)]


def complete(engine: Any, requests: list[Request]) -> list[Completion]:
    return [completion for _, completion in sorted(engine.generate(iter(requests)), key=lambda entry: entry[0])]


def requests(decoding: Decoding, count: int = 11) -> list[Request]:
    return [Request(decoding, seed, prompt) for seed, prompt in enumerate(prompts(count))]


def test_every_request_has_one_completion(engine: Any) -> None:
    places = [place for place, _ in engine.generate(requests(GREEDY, 37))]
    assert sorted(places) == list(range(37))
    assert list(engine.generate([])) == []


def test_requests_are_pulled_as_they_are_needed(engine: Any) -> None:
    taken = []

    def asked() -> Iterator[Request]:
        for request in requests(GREEDY, 3 * engine.window):
            taken.append(request)
            yield request

    generated = engine.generate(asked())
    next(generated)
    assert 4 <= len(taken) <= engine.window
    generated.close()
    assert complete(engine, requests(GREEDY, 3)) == complete(engine, requests(GREEDY, 3)), "what was left is forgotten"


def test_where_others_must_wait_a_completion_comes_first(engine: Any) -> None:
    given: list[int] = []

    def asked() -> Iterator[Request | None]:
        for number, request in enumerate(requests(GREEDY, 9)):
            yield request
            if number % 3 == 2:
                before = len(given)
                yield None
                assert len(given) > before

    for place, _ in engine.generate(asked()):
        given.append(place)
    assert sorted(given) == list(range(9))


@pytest.mark.parametrize("decoding", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_a_text_depends_on_its_own_request_alone(engine: Any, decoding: Decoding) -> None:
    asked = requests(decoding)
    together = complete(engine, asked)
    assert together == [complete(engine, [request])[0] for request in asked], "alone as in a batch"
    shuffled = random.Random(2).sample(range(11), 11)
    mixed = complete(engine, [asked[place] for place in shuffled])
    assert mixed == [together[place] for place in shuffled]
    beside = [replace(asked[0], decoding=Decoding(3)), *asked, Request(DRAWN, 99, "the")]
    assert complete(engine, beside)[1:-1] == together, "beside requests that are decoded otherwise"


def test_greedy_is_what_the_model_gives(engine: Any, network: Any) -> None:
    import torch

    codec, asked = engine.codec, requests(Decoding(40), 40)
    for request, found in zip(asked, complete(engine, asked), strict=True):
        ids = engine.tokenizer(request.prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            grown = network.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, eos_token_id=codec.ends,
                pad_token_id=codec.pad,
            )[0, ids.shape[1] :].tolist()  # fmt: skip
        kept = grown[:-1] if grown[-1] in codec.ends else grown
        assert found.text == engine.tokenizer.decode(kept, clean_up_tokenization_spaces=False)
        assert (found.prompt_tokens, found.completion_tokens) == (ids.shape[1], len(grown))


def test_a_stop_string_ends_a_text_and_is_cut_off(engine: Any) -> None:
    free = complete(engine, requests(Decoding(20)))
    stopped = complete(engine, requests(Decoding(20, stop=("\n",))))
    assert any("\n" in completion.text for completion in free), "the model writes lines"
    for before, after in zip(free, stopped, strict=True):
        assert after.text == before.text.partition("\n")[0]
        if "\n" in before.text:
            assert after.finish_reason == "stop" and after.completion_tokens <= before.completion_tokens
    long = complete(engine, requests(Decoding(20, stop=("\n\nEnglish:", "no such text"))))
    assert [completion.text for completion in long] == [
        completion.text.partition("\n\nEnglish:")[0] for completion in free
    ]


def test_reasons_and_counts(engine: Any) -> None:
    (cut,) = complete(engine, [Request(Decoding(2), 0, "English: the old harbour\nEuskara:")])
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 2)
    chats = [Request(Decoding(30), n, messages=({"role": "user", "content": "old storm"},)) for n in range(3)]
    for answer in complete(engine, chats):
        assert answer.finish_reason == "stop" and "<|" not in answer.text
        assert answer.completion_tokens > 0


def test_special_tokens_stay_visible(engine: Any) -> None:
    """What is drawn at a great temperature holds tokens of every kind."""
    texts = [one.text for one in complete(engine, requests(Decoding(60, temperature=2.0), 40))]
    assert any(token in text for token in engine.tokenizer.all_special_tokens for text in texts)


def test_a_prompt_as_long_as_the_context_is_told(engine: Any) -> None:
    long, fits = "harbour " * 400, "harbour"
    first, second, third = complete(engine, [Request(GREEDY, 0, text) for text in (long, fits, long)])
    assert first.finish_reason == third.finish_reason == "too long"
    assert (first.text, first.completion_tokens) == ("", 0) and first.prompt_tokens > 256
    assert second.finish_reason in ("stop", "length")
    near = "a" * 250  # a token a letter or so: little room is left
    (short,) = complete(engine, [Request(Decoding(100), 0, near)])
    assert short.prompt_tokens + short.completion_tokens <= 256


def test_a_prompt_that_leaves_room_for_one_token_gets_it(engine: Any) -> None:
    prompt = "a" * 255
    assert len(engine.codec.encode(Request(GREEDY, 0, prompt))) == 255
    (found,) = complete(engine, [Request(GREEDY, 0, prompt)])
    assert (found.prompt_tokens, found.completion_tokens) == (255, 1)


def test_seeds_draw_different_texts_and_the_same_seed_the_same(engine: Any) -> None:
    prompt = prompts(1)[0]
    seeds = [*range(15), 2**64 - 1]  # seeds are numbers of 64 bits
    drawn = complete(engine, [Request(DRAWN, seed, prompt) for seed in seeds])
    again = complete(engine, [Request(DRAWN, seed, prompt) for seed in seeds])
    assert drawn == again
    assert len({completion.text for completion in drawn}) > 3


def test_many_long_prompts_at_once(engine: Any) -> None:
    asked = [Request(DRAWN, seed, (prompt + " ") * 5) for seed, prompt in enumerate(prompts(30))]
    found = complete(engine, asked)
    assert found == complete(engine, asked) and all(one.finish_reason in ("stop", "length") for one in found)


def test_tokens_are_drawn_with_their_probabilities(engine: Any, network: Any) -> None:
    """The first token of 2,000 draws against the model's own distribution, cut at top-p."""
    import torch

    prompt, top_p, draws = "English: the old", 0.8, 2000
    ids = engine.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        probability = (network(ids).logits[0, -1] / 0.7).softmax(-1)
    ordered, tokens = probability.sort(descending=True)
    kept = int((ordered.cumsum(-1) < top_p).sum()) + 1
    expected: dict[str, float] = {}  # a token that ends the text leaves it empty
    for token, share in zip(tokens[:kept].tolist(), (ordered[:kept] / ordered[:kept].sum()).tolist(), strict=True):
        text = "" if token in engine.codec.ends else engine.codec.decode([token])
        expected[text] = expected.get(text, 0.0) + share
    asked = [Request(Decoding(1, 0.7, top_p), seed, prompt) for seed in range(draws)]
    found = Counter(completion.text for completion in complete(engine, asked))
    assert set(found) <= set(expected), "nothing outside top-p"
    for text, share in expected.items():
        error = (share * (1 - share) / draws) ** 0.5
        assert abs(found[text] / draws - share) < 5 * error + 1e-9


def test_top_p_of_nothing_leaves_the_likeliest_token(engine: Any) -> None:
    greedy = complete(engine, requests(GREEDY, 5))
    assert complete(engine, requests(Decoding(12, temperature=1.0, top_p=0.0), 5)) == greedy


def test_plain_text_begins_as_in_training_and_holds_no_special_tokens(engine: Any) -> None:
    begin, end = engine.tokenizer.bos_token_id, engine.tokenizer.eos_token
    plain = engine.codec.encode(Request(GREEDY, text=f"the {end}"))
    written = engine.codec.encode(Request(GREEDY, prompt=f"the {end}"))
    assert plain[0] == begin and engine.tokenizer.eos_token_id not in plain
    assert written[0] != begin and written[-1] == engine.tokenizer.eos_token_id
    empty = [Request(GREEDY, text=""), Request(GREEDY, prompt="")]
    assert [engine.codec.encode(request) for request in empty] == [[begin], [begin]]
    asked = [Request(GREEDY, text=f"the {end}"), Request(GREEDY, prompt=f"the {end}"), *empty]
    assert [completion.prompt_tokens for completion in complete(engine, asked)] == [len(plain), len(written), 1, 1]


def test_a_conversation_that_the_template_refuses_stops_no_other(engine: Any) -> None:
    roles = ("user", "nobody", "user")
    asked = [Request(GREEDY, messages=({"role": role, "content": "old storm"},)) for role in roles]
    first, refused, last = complete(engine, asked)
    assert (refused.finish_reason, first) == ("refused", last) and "nobody" in refused.text


def test_facts_say_what_a_manifest_needs(engine: Any, request: pytest.FixtureRequest) -> None:
    facts = engine.facts()
    assert facts["engine"] == request.node.callspec.params["engine"] and facts["batch_invariant"] is False
    assert facts["dtype"] == "float32" and facts["model"].endswith("trained")
    assert {"revision", "engine_version", "torch_version", "device"} <= set(facts)


def test_a_schema_of_enumerations_is_obeyed_beside_others_that_are_free(engine: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"first": {"type": "integer", "enum": [*range(11)]}, "second": {"enum": [-1, "x"]}},
        "required": ["first", "second"],
        "additionalProperties": False,
    }
    long = replace(DRAWN, max_tokens=60)
    free = [replace(one, decoding=long) for one in requests(DRAWN, 8)]
    kept = [replace(one, schema=schema, seed=seed) for seed, one in enumerate(free)]
    mixed = complete(engine, [one for both in zip(free, kept, strict=True) for one in both])
    found = [orjson.loads(one.text) for one in mixed[1::2] if one.finish_reason == "stop"]
    assert len(found) >= 7, "those that are not cut off, as one that begins with many line breaks of its own would be"
    assert all(list(one) == ["first", "second"] and one["first"] in range(11) for one in found)
    assert len({one["first"] for one in found}) > 1
    assert [one.text for one in mixed[::2]] == [one.text for one in complete(engine, free)]
