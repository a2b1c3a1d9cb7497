"""The transformers engine with a real tiny model: the protocol, and texts that depend on their own request alone."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, in_order, open_engine

GREEDY = Decoding(12)
DRAWN = Decoding(12, temperature=1.0, top_p=0.9)


@pytest.fixture(scope="module")
def engine(tiny_models: Path) -> Any:
    return open_engine(str(tiny_models / "trained"), EngineOptions(batch_size=4, device="cpu"))


def prompts(count: int) -> list[str]:
    draw = random.Random(1)
    words = ["harbour", "storm", "lamps", "the", "old", "quiet"]
    return ["English: " + " ".join(draw.choices(words, k=draw.randint(1, 9))) + "\nEuskara:" for _ in range(count)]


def complete(engine: Any, requests: list[Request]) -> list[Completion]:
    return list(in_order(engine.generate(iter(requests))))


def requests(decoding: Decoding, count: int = 11) -> list[Request]:
    return [Request(decoding, seed, prompt) for seed, prompt in enumerate(prompts(count))]


def test_every_request_has_one_completion(engine: Any) -> None:
    places = [place for place, _ in engine.generate(requests(GREEDY, 37))]
    assert sorted(places) == list(range(37))
    assert list(engine.generate([])) == []


def test_requests_are_pulled_as_they_are_needed(engine: Any) -> None:
    taken = []

    def asked():
        for request in requests(GREEDY, 3 * engine.window):
            taken.append(request)
            yield request

    next(engine.generate(asked()))
    assert len(taken) == engine.window


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


def test_greedy_is_what_the_library_gives(engine: Any) -> None:
    import torch

    for request in requests(GREEDY, 4):
        ids = engine.tokenizer(request.prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            grown = engine.network.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, eos_token_id=engine.ends,
                pad_token_id=engine.pad,
            )[0, ids.shape[1] :].tolist()  # fmt: skip
        (found,) = complete(engine, [request])
        kept = grown[:-1] if grown[-1] in engine.ends else grown
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


def test_a_prompt_as_long_as_the_context_is_told(engine: Any) -> None:
    long, fits = "harbour " * 400, "harbour"
    first, second, third = complete(engine, [Request(GREEDY, 0, text) for text in (long, fits, long)])
    assert first.finish_reason == third.finish_reason == "too long"
    assert (first.text, first.completion_tokens) == ("", 0) and first.prompt_tokens > 256
    assert second.finish_reason in ("stop", "length")
    near = "a" * 250  # a token a letter or so: little room is left
    (short,) = complete(engine, [Request(Decoding(100), 0, near)])
    assert short.prompt_tokens + short.completion_tokens <= 256


def test_seeds_draw_different_texts_and_the_same_seed_the_same(engine: Any) -> None:
    prompt = prompts(1)[0]
    drawn = complete(engine, [Request(DRAWN, seed, prompt) for seed in range(16)])
    again = complete(engine, [Request(DRAWN, seed, prompt) for seed in range(16)])
    assert drawn == again
    assert len({completion.text for completion in drawn}) > 3


def test_tokens_are_drawn_with_their_probabilities(engine: Any) -> None:
    """The first token of 3,000 draws against the model's own distribution, cut at top-p."""
    import torch

    prompt, top_p, draws = "English: the old", 0.8, 3000
    ids = engine.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        probability = (engine.network(ids).logits[0, -1] / 0.7).softmax(-1)
    ordered, tokens = probability.sort(descending=True)
    kept = int((ordered.cumsum(-1) < top_p).sum()) + 1
    expected = {int(t): float(p / ordered[:kept].sum()) for t, p in zip(tokens[:kept], ordered[:kept], strict=True)}
    big = type(engine)(engine.name, engine.tokenizer, engine.network, 500)
    drawn = [
        row[0]
        for start in range(0, draws, 500)
        for row in big._continue([ids[0].tolist()] * 500, list(range(start, start + 500)), Decoding(1, 0.7, top_p))
    ]
    found = Counter(drawn)
    assert set(found) <= set(expected), "nothing outside top-p"
    for token, share in expected.items():
        error = (share * (1 - share) / draws) ** 0.5
        assert abs(found[token] / draws - share) < 5 * error + 1e-9


def test_facts_say_what_a_manifest_needs(engine: Any) -> None:
    facts = engine.facts()
    assert facts["engine"] == "transformers" and facts["batch_invariant"] is True
    assert {"model", "revision", "engine_version", "torch_version", "dtype", "device"} <= set(facts)
