"""Log-likelihoods: those of the harness's own hf backend, for trees, beginnings, letters, windows and odd models."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latxa_cli.evaluation.libraries import Console, quiet_libraries
from latxa_cli.evaluation.model import load
from latxa_cli.evaluation.scoring.batches import Group, Limits, batches, divided, groups
from latxa_cli.evaluation.scoring.rows import Request, Row, families, tree
from latxa_cli.stream.errors import LatxaError

WORDS = ["red", "green", "blue", "white", "gate", "town", "begin", "the", "where", "does", "Question", "Answer"]
SHOTS = (
    "Question: Where does Ulmo 1 begin?\nAnswer: the red gate\n\nQuestion: Where does Ovel begin?\nAnswer: the gate\n\n"
)
SMALL = {
    "vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512, "initializer_range": 0.2,
    "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1,
}  # fmt: skip
# Configuration, and what the scorer says of the model, which must not change any figure.
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "llama": ({}, ""),
    "qwen2": ({"use_sliding_window": False}, ""),
    "gemma2": ({"sliding_window": 24, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8}, ""),
    "gemma3_text": ({"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"]}, ""),
    "mistral": ({"sliding_window": 20}, ""),
    "cohere": ({"logit_scale": 0.3}, ""),
    "granite": ({"logits_scaling": 4.0}, ""),
    "gpt2": ({"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}, ""),
    "gpt_neox": ({}, ""),
    "bloom": ({"n_layer": 2, "n_head": 4}, "reads every choice with the whole prompt"),
    "opt": ({"ffn_dim": 64, "word_embed_proj_dim": 32}, ""),
    "mamba": ({"state_size": 4, "num_heads": 4}, "reads every choice with the whole prompt"),
}  # fmt: skip


class Asked:
    """A request of the harness, as far as a model reads it."""

    def __init__(self, *args: str, item: int = 0) -> None:
        self.args, self.task_name, self.doc_id = args, "towns", item


def requests(count: int, *, beginning: str = "", words: int = 5, empty: bool = False) -> list[Any]:
    """Four choices for each of so many items: of different lengths, one a part of another, perhaps without a prompt."""
    draw = random.Random(0)
    asked = []
    for item in range(count):
        prompt = beginning + "Question: " + " ".join(draw.choices(WORDS, k=draw.randint(3, 20))) + "\nAnswer:"
        choices = [" " + " ".join(draw.choices(WORDS, k=draw.randint(1, words))) for _ in range(3)]
        choices.append(choices[0] + " gate")
        prompts = [prompt] * 4 if item % 3 or not empty else [""] * 4
        asked += [Asked(before, choice, item=item) for before, choice in zip(prompts, choices, strict=True)]
    return asked


def variant(model: Path, folder: Path, kind: str, **settings: Any) -> Path:
    """Write a random model of another kind, with the tokenizer of `model`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **(SMALL | settings))
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    return folder


def both(directory: Path, **arguments: Any) -> tuple[Any, Any, list[str]]:
    """Return the harness's own model, ours, and what was said of it."""
    said: list[str] = []
    with quiet_libraries(Console()):
        from lm_eval.models.huggingface import HFLM

        ours = load(str(directory), device="cpu", batch_size=None, console=Console(detail=said.append), **arguments)
        stock = HFLM(pretrained=ours.model, tokenizer=ours.tokenizer, batch_size=4)
    return stock, ours, said


def compare(stock: Any, ours: Any, asked: list[Any], method: str = "loglikelihood") -> None:
    with quiet_libraries(Console()):
        expected, found = getattr(stock, method)(asked), getattr(ours, method)(asked)
    assert len(found) == len(expected)
    if method == "loglikelihood_rolling":
        assert found == pytest.approx(expected, abs=1e-4)
        return
    assert [one[0] for one in found] == pytest.approx([one[0] for one in expected], abs=1e-4)
    assert [one[1] for one in found] == [one[1] for one in expected]


@pytest.mark.parametrize("kind", MODELS)
def test_every_architecture_gives_the_figures_of_the_harness(model: Path, tmp_path: Path, kind: str) -> None:
    settings, word = MODELS[kind]
    stock, ours, said = both(variant(model, tmp_path / kind, kind, **settings))
    assert (word in said[0] if word else not said) and type(ours).__name__ == "Scorer"
    compare(stock, ours, requests(9, empty=True))
    compare(stock, ours, requests(6, beginning=SHOTS))
    compare(stock, ours, requests(6, words=1))


def test_a_head_that_is_hidden_leaves_the_work_to_the_harness(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "get_output_embeddings", lambda self: None)
    _, ours, said = both(model)
    assert type(ours).__name__ == "HFLM"
    assert said == [f"`{model}` is scored by the harness's own loop: it has no head of its own"]


def test_a_model_without_sdpa_gets_masks_of_numbers(model: Path) -> None:
    stock, ours, _ = both(model)
    ours.model.set_attn_implementation("eager")
    compare(stock, ours, requests(9, beginning=SHOTS))


def count_tokens(ours: Any, asked: list[Any]) -> int:
    tokens = 0

    def count(_module: Any, _inputs: Any, named: dict[str, Any]) -> None:
        nonlocal tokens
        tokens += named["input_ids"].numel()

    hook = ours.model.get_decoder().register_forward_pre_hook(count, with_kwargs=True)
    with quiet_libraries(Console()):
        ours.loglikelihood(asked)
    hook.remove()
    return tokens


def test_choices_share_their_prompt_and_items_their_shots(model: Path) -> None:
    stock, ours, _ = both(model)
    plain, shots = requests(12, beginning="".join(WORDS * 3), words=2), requests(24, beginning=SHOTS, words=1)
    assert count_tokens(ours, plain) * 2.5 < count_tokens(stock, plain)
    assert count_tokens(ours, shots) * 2.5 < count_tokens(stock, shots)


def out_of_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Let passes of more rows than `most` fail as torch's do on the CPU; return the rows of those that went well."""
    from latxa_cli.evaluation.scoring.forward import Network

    done: list[int] = []
    scores = Network._logits

    def limited(self: Network, rows: Any, before: Any, places: Any) -> Any:
        if len(rows) > most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        done.append(len(rows))
        return scores(self, rows, before, places)

    monkeypatch.setattr(Network, "_logits", limited)
    return done


def test_a_full_memory_halves_the_passes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock, ours, _ = both(model)
    done = out_of_memory(monkeypatch, 3)
    compare(stock, ours, requests(17))
    assert sum(done) == 17 and max(done) <= 3


def test_a_full_memory_divides_a_row(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latxa_cli.evaluation.scoring.forward import Network

    stock, ours, _ = both(model)
    scores = Network._logits

    def limited(self: Network, rows: Any, before: Any, places: Any) -> Any:
        if sum(len(row.wanted) for row in rows) > limit:
            raise RuntimeError("MPS backend out of memory")
        return scores(self, rows, before, places)

    monkeypatch.setattr(Network, "_logits", limited)
    limit = 1
    compare(stock, ours, requests(3))
    compare(stock, ours, requests(4, beginning=SHOTS))
    limit = 0
    with pytest.raises(LatxaError, match="memory"), quiet_libraries(Console()):
        ours.loglikelihood(requests(1))


def test_batch_size_is_obeyed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with quiet_libraries(Console()):
        ours: Any = load(str(model), device="cpu", batch_size=2)
        done = out_of_memory(monkeypatch, 99)
        ours.loglikelihood(requests(9))
    assert sum(done) == 9 and max(done) == 2


def test_rolling_log_likelihoods_go_by_windows(model: Path, tmp_path: Path) -> None:
    stock, ours, _ = both(variant(model, tmp_path / "short", "llama", max_position_embeddings=32))
    asked = [Asked(" ".join(random.Random(n).choices(WORDS, k=n)), item=n) for n in (1, 3, 20, 31, 60, 200)]
    compare(stock, ours, asked, "loglikelihood_rolling")


def test_a_prompt_too_long_loses_its_beginning_and_is_counted_once(model: Path, tmp_path: Path) -> None:
    stock, ours, _ = both(variant(model, tmp_path / "short", "llama", max_position_embeddings=40))
    asked = requests(2, beginning=SHOTS)
    compare(stock, ours, asked)
    assert ours.cut == 2
    with pytest.raises(LatxaError, match=r"a choice has \d+ tokens, and the model's context 40"):
        ours.loglikelihood([Asked("Question:", " gate" * 60)])


def test_a_choice_without_tokens_is_told(model: Path) -> None:
    _, ours, _ = both(model)
    with pytest.raises(LatxaError, match="the choice '' of an item is empty"):
        ours.loglikelihood([Asked("Question: Where?", "")])


# --- rows and groups, without a model


def request(number: int, tokens: list[int], targets: int) -> Request:
    return Request(number, np.array(tokens[:-1]), np.array(tokens[-targets:]))


def above(row: Row, place: int) -> list[int]:
    """Return the places that one place of a row sees, itself included."""
    for start, stop, ranges in row.branches:
        if start <= place < stop:
            return [*(one for begun, ended in ranges for one in range(begun, ended)), *range(start, place + 1)]
    raise LookupError(place)


def test_a_tree_holds_every_sequence_once() -> None:
    draw = random.Random(1)
    for _ in range(200):
        shared = [draw.randrange(3) for _ in range(draw.randint(1, 6))]
        family = [
            request(number, shared + [draw.randrange(3) for _ in range(draw.randint(1, 6))], 1) for number in range(4)
        ]
        start = draw.randint(0, len(shared) - 1)
        row = tree(family, start)
        for one, places in row.wanted:
            path = above(row, int(places[-1]))
            assert [row.tokens[place] for place in path] == one.tokens[start:].tolist()
            assert [row.depths[place] for place in path] == list(range(start, len(one.tokens)))
        different = {
            tuple(one.tokens[:size].tolist()) for one in family for size in range(start + 1, len(one.tokens) + 1)
        }
        assert len(row.tokens) == len(different)


def test_groups_are_found_where_items_begin_alike() -> None:
    items = [[request(n, [5] * 40 + [n] * 10 + [n], 1)] for n in range(8)]
    items += [[request(n, [6] * 30 + [n] * 20 + [n], 1)] for n in range(8, 12)]
    items += [[request(n, [n] * 50 + [n], 1)] for n in range(12, 15)]
    found = groups(families(items, trees=True), share=True)
    assert sorted((len(group.beginning), len(group.families)) for group in found) == [(0, 3), (30, 4), (40, 8)]
    numbers = sorted(one.number for group in found for family in group.families for one in family)
    assert numbers == list(range(15))
    assert [len(group.beginning) for group in groups(families(items, trees=True), share=False)] == [0]


def partitions(places: list[int]) -> Iterator[list[list[int]]]:
    """Yield every division of `places` into sets."""
    if not places:
        yield []
        return
    for rest in partitions(places[1:]):
        yield [[places[0]], *rest]
        for number, one in enumerate(rest):
            yield [*rest[:number], [places[0], *one], *rest[number + 1 :]]


def size_of_common(texts: list[str]) -> int:
    return next((at for at, letters in enumerate(zip(*texts, strict=True)) if len(set(letters)) > 1), len(texts[0]))


def test_groups_save_nearly_as_much_as_the_best_division() -> None:
    draw = random.Random(2)
    saved = best = 0
    for _ in range(40):
        items = [[request(n, [draw.randrange(2) for _ in range(8)], 1)] for n in range(6)]
        ordered = sorted(items, key=lambda family: family[0].tokens.tolist())
        texts = ["".join(map(str, family[0].tokens[:6])) for family in ordered]

        def shared(places: list[int], texts: list[str] = texts) -> int:
            return size_of_common([texts[place] for place in places]) * (len(places) - 1)

        found = divided(ordered)
        assert sorted([*(place for _, places in found.groups for place in places), *found.loose]) == list(range(6))
        saved += sum(size * (len(places) - 1) for size, places in found.groups)
        best += max(sum(map(shared, division)) for division in partitions(list(range(6))))
    assert 0.95 * best <= saved <= best


def test_passes_stay_within_their_limits() -> None:
    items = [[request(n, [n + 1] * (5 + n) + [0], 1)] for n in range(30)]
    (group,) = groups(families(items, trees=True), share=False)
    made = list(batches(group, Limits(tokens=100, places=6, enough=60)))
    assert sorted(row.wanted[0][0].number for rows in made for row in rows) == list(range(30))
    for rows in made:
        longest = len(rows[0].tokens)
        assert len(rows) * longest <= 100 or len(rows) == 1
        assert len(rows) <= 6
    assert len(list(batches(Group(group.beginning, group.families[:1]), Limits(1, 1, 1)))) == 1
