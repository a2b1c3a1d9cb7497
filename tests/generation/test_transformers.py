"""What is the transformers engine's own, with a real tiny model; `test_engines.py` has what every engine must do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latxa_cli.generation.engine import Completion, Decoding, EngineOptions, Request, open_engine
from latxa_cli.stream.errors import LatxaError

GREEDY = Decoding(12)


@pytest.fixture(scope="module")
def engine(tiny_models: Path) -> Any:
    return open_engine(str(tiny_models / "trained"), EngineOptions(batch_size=4, device="cpu"))


def complete(engine: Any, count: int = 4) -> list[Completion]:
    asked = [Request(GREEDY, 0, f"English: {word}\nEuskara:") for word in ("harbour", "old storm", "the", "a quiet")]
    return [completion for _, completion in sorted(engine.generate(asked[:count]), key=lambda entry: entry[0])]


def draw(logits: list[float], uniform: float, top_p: float, temperature: float = 1.0) -> int:
    """Return the token that is drawn from `logits` by one uniform number."""
    import torch

    from latxa_cli.generation.transformers import _Draw

    drawing = _Draw(0, [0], Decoding(1, temperature, top_p), 1)
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


def test_the_temperature_decides_what_is_drawn() -> None:
    """The first of two tokens has the probability 1 / (1 + exp(1 / temperature)): 0.119, 0.269, 0.378."""
    for temperature, share in ((0.5, 0.119), (1.0, 0.269), (2.0, 0.378)):
        drawn = [draw([0.0, 1.0], uniform, 1.0, temperature) for uniform in (share - 0.001, share + 0.001)]
        assert drawn == [0, 1], temperature
    # At top-p 0.7 the second token alone is left where its share is above that.
    assert [draw([0.0, 1.0], 0.0, 0.7, temperature) for temperature in (0.5, 1.0, 2.0)] == [1, 1, 0]


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
    assert complete(other) == complete(engine)


def test_a_pad_token_without_an_embedding_is_not_used(engine: Any, tiny_models: Path, tmp_path: Path) -> None:
    model = copy_of(tiny_models / "trained", tmp_path, "tokenizer_config.json", pad_token="<|never seen|>")
    other = open_engine(str(model), EngineOptions(batch_size=4, device="cpu"))
    assert other.tokenizer.pad_token_id >= engine.network.get_input_embeddings().num_embeddings
    assert complete(other) == complete(engine)


def test_incomplete_weights_are_told(tiny_models: Path, tmp_path: Path) -> None:
    model = copy_of(tiny_models / "trained", tmp_path, "config.json", num_hidden_layers=3)
    with pytest.raises(LatxaError, match=r"lack 9 of the model's parameters, `model\.layers\.2\."):
        open_engine(str(model), EngineOptions(device="cpu"))


def test_a_stop_string_of_many_bytes_is_found(engine: Any) -> None:
    import torch

    stop = "漢字" * 20 + "\n"  # letters that the tokenizer has never seen: three tokens each
    ids = engine.tokenizer(f"the {stop}", add_special_tokens=False)["input_ids"]
    assert len(ids) > 64 and engine._stop_finder((stop,))(torch.tensor(ids))


def test_a_batch_is_as_large_as_the_memory_allows(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [Request(GREEDY, 0, f"English: {'the ' * (n % 5)}\nEuskara:") for n in range(16)]
    expected = [one for _, one in sorted(engine.generate(asked), key=lambda entry: entry[0])]
    sizes: list[int] = []
    together = engine._continue
    monkeypatch.setattr(engine, "_continue", lambda batch: sizes.append(len(batch)) or together(batch))
    width = GREEDY.max_tokens + max(completion.prompt_tokens for completion in expected)
    for free, largest in ((engine.memory.of_rows(3, width), 3), (0, 1), (float("inf"), engine.batch_size)):
        sizes.clear()
        monkeypatch.setattr(engine.memory, "free", lambda free=free: free)
        assert [one for _, one in sorted(engine.generate(asked), key=lambda entry: entry[0])] == expected
        assert max(sizes) == largest and sum(sizes) == 16


def test_a_batch_that_the_gpu_has_no_room_for_is_done_in_halves(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    expected, together, fits = complete(engine), engine._continue, 2

    def narrow(batch: list[Any]) -> list[list[int]]:
        if len(batch) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return together(batch)

    monkeypatch.setattr(engine, "_continue", narrow)
    monkeypatch.setattr(engine, "batch_size", 4)
    assert complete(engine) == expected and engine.batch_size == 2
    fits = 0
    found = complete(engine, 3)
    assert [one.finish_reason for one in found] == ["failed"] * 3
    assert "do not fit in the memory of `cpu`" in found[0].text and found[0].prompt_tokens > 0


def test_a_width_for_each_layer_is_no_trouble(engine: Any) -> None:
    from latxa_cli.generation.batch_memory import _most

    config = SimpleNamespace(intermediate_size=[128, 512, 256], head_dim=None)
    assert [_most(config, name) for name in ("intermediate_size", "head_dim", "none")] == [512, 0, 0]


def test_what_a_batch_takes_is_near_what_it_really_takes(engine: Any) -> None:
    """Keys and values are counted exactly; the rest is a bound."""
    config = engine.network.config
    keys = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 4
    assert engine.memory.bytes_of_token > keys
    assert engine.memory.of_rows(2, 100) == 2 * engine.memory.of_rows(1, 100) > 2 * 100 * keys
    assert 0 < engine.memory.free() < 1 << 50


def test_a_stop_string_whose_last_letter_is_many_tokens_is_found(engine: Any) -> None:
    import torch

    ids = engine.tokenizer("the 漢字", add_special_tokens=False)["input_ids"]
    assert engine._stop_finder(("漢字",))(torch.tensor(ids)) and not engine._stop_finder(("漢",))(
        torch.tensor(ids[:-4])
    )


def test_a_stop_string_is_found_by_a_decoder_that_drops_a_first_space(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    stop, decode = " 漢字\n", engine.codec.decode
    ids = engine.tokenizer(f"the{stop}", add_special_tokens=False)["input_ids"]
    monkeypatch.setattr(engine.codec, "decode", lambda ids: decode(ids).removeprefix(" "))
    assert engine._stop_finder((stop,))(torch.tensor(ids))


def test_rows_of_a_batch_end_each_at_its_own_time(engine: Any) -> None:
    """By an end token, and where the context is full."""

    def asked(*contents: str) -> list[Completion]:
        requests = [Request(Decoding(40), messages=({"role": "user", "content": words},)) for words in contents]
        return [completion for _, completion in sorted(engine.generate(requests), key=lambda entry: entry[0])]

    contents = ("old storm", "the", "harbour " * 40 + "lamps", "lamps and storms")
    alone = [asked(words)[0] for words in contents]
    assert len({one.completion_tokens for one in alone}) > 1 and any(one.finish_reason == "stop" for one in alone)
    assert asked(*contents) == alone
    prompts = [Request(Decoding(40), prompt="a" * 250), Request(Decoding(40), prompt="a")]
    first, beside = (dict(engine.generate(prompts[:count]))[0] for count in (1, 2))
    assert first == beside and (first.finish_reason, first.completion_tokens) == ("length", 6)


def test_next_to_no_temperature_is_the_likeliest_token(engine: Any) -> None:
    cold = Request(Decoding(12, temperature=1e-40), 3, "English: harbour\nEuskara:")
    assert [one for _, one in engine.generate([cold])] == complete(engine, 1)


def test_what_is_decoded_alike_is_done_together(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    together = engine._continue
    monkeypatch.setattr(engine, "_continue", lambda batch: sizes.append(len(batch)) or together(batch))
    asked = [Request((GREEDY, Decoding(11))[n % 2], n, "the " * (n % 8 + 1)) for n in range(16)]
    list(engine.generate(asked))
    assert sizes == [2, 2, 2, 2, 4, 4], "the first windows are small"


def test_the_first_completions_come_after_one_batch(engine: Any) -> None:
    """So that a command in a pipe writes as soon as it has read that much."""
    pulled: list[int] = []

    def requests() -> Any:
        for number in range(64):
            pulled.append(number)
            yield Request(GREEDY, number, text="the old harbour")

    completions = engine.generate(requests())
    next(completions)
    assert len(pulled) == engine.batch_size < engine.window
