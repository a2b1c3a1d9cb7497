"""The transformers engine with a real tiny model: the protocol, and texts that depend on their own request alone."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, open_engine
from latxa_cli.stream.errors import LatxaError

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
    return [completion for _, completion in sorted(engine.generate(iter(requests)), key=lambda entry: entry[0])]


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
    assert facts["engine"] == "transformers" and facts["batch_invariant"] is False
    assert {"model", "revision", "engine_version", "torch_version", "dtype", "device"} <= set(facts)


def draw(logits: list[float], uniform: float, top_p: float) -> int:
    """Return the token that is drawn from `logits` by one uniform number."""
    import torch

    from latxa_cli.generation.transformers import _Draw

    drawing = _Draw(0, [0], Decoding(1, 1.0, top_p))
    drawing.uniform = torch.tensor([[uniform]])
    return int(drawing(torch.zeros((1, 0)), torch.tensor([logits])).argmax())


def test_the_likeliest_token_is_always_kept_and_nothing_outside_is_ever_drawn() -> None:
    below_one = 1 - 2**-24  # the largest number that is drawn
    logits = [0.0, 3.0, 1.0, 2.0, -9.0]
    for uniform in (0.0, 0.5, below_one):
        assert draw(logits, uniform, 0.0) == 1
    assert {draw(logits, uniform, 0.8) for uniform in (0.0, 0.4, 0.8, below_one)} == {1, 3}
    assert [draw([0.0] * 4, uniform, 1.0) for uniform in (0.0, 0.25, 0.6, below_one)] == [0, 1, 2, 3]
    swapped = [draw([2.0, 2.0 + tiny], 0.4, 0.99) for tiny in (-1e-6, 1e-6)]
    assert swapped == [0, 0], "the order of near-ties decides nothing"


def test_plain_text_begins_as_in_training_and_holds_no_special_tokens(engine: Any) -> None:
    begin, end = engine.tokenizer.bos_token_id, engine.tokenizer.eos_token
    plain = engine._tokenise(Request(GREEDY, text=f"the {end}"))
    written = engine._tokenise(Request(GREEDY, prompt=f"the {end}"))
    assert plain[0] == begin and engine.tokenizer.eos_token_id not in plain
    assert written[0] != begin and written[-1] == engine.tokenizer.eos_token_id
    assert engine._tokenise(Request(GREEDY, text="")) == engine._tokenise(Request(GREEDY, prompt="")) == [begin]


def test_a_conversation_that_the_template_refuses_stops_no_other(engine: Any) -> None:
    roles = ("user", "nobody", "user")
    asked = [Request(GREEDY, messages=({"role": role, "content": "old storm"},)) for role in roles]
    first, refused, last = complete(engine, asked)
    assert (refused.finish_reason, first) == ("refused", last) and "nobody" in refused.text


def copy_of(model: Path, folder: Path, name: str, **changes: Any) -> Path:
    """Copy a model with other values in one of its JSON files."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def test_the_models_own_generation_configuration_changes_nothing(
    engine: Any, tiny_models: Path, tmp_path: Path
) -> None:
    model = copy_of(tiny_models / "trained", tmp_path, "generation_config.json", repetition_penalty=9.0, num_beams=2)
    other = open_engine(str(model), EngineOptions(batch_size=4, device="cpu"))
    assert complete(other, requests(GREEDY, 4)) == complete(engine, requests(GREEDY, 4))


def test_a_pad_token_without_an_embedding_is_not_used(engine: Any, tiny_models: Path, tmp_path: Path) -> None:
    model = copy_of(tiny_models / "trained", tmp_path, "tokenizer_config.json", pad_token="<|never seen|>")
    other = open_engine(str(model), EngineOptions(batch_size=4, device="cpu"))
    assert other.tokenizer.pad_token_id >= engine.network.get_input_embeddings().num_embeddings
    assert complete(other, requests(GREEDY, 4)) == complete(engine, requests(GREEDY, 4))


def test_incomplete_weights_are_told(tiny_models: Path, tmp_path: Path) -> None:
    model = copy_of(tiny_models / "trained", tmp_path, "config.json", num_hidden_layers=3)
    with pytest.raises(LatxaError, match=r"lack 9 of the model's parameters, `model\.layers\.2\."):
        open_engine(str(model), EngineOptions(device="cpu"))


def test_a_stop_string_of_many_bytes_is_found(engine: Any) -> None:
    import torch

    stop = "漢字" * 20 + "\n"  # letters that the tokenizer has never seen: three tokens each
    ids = engine.tokenizer(f"the {stop}", add_special_tokens=False)["input_ids"]
    assert len(ids) > 64 and engine._stop_finder((stop,))(torch.tensor(ids))
