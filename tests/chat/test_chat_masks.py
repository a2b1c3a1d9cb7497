"""What is trained of real instructions, for the templates of many families, against what the text alone says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chat_families import FAMILIES, Family, tokenizer_of

from latxa_cli.chat.loss_mask import TokenisedChat, encode_chats


@pytest.fixture(scope="module")
def conversations(shared_data: Path) -> list[list[dict[str, str]]]:
    """One exchange each: what the user asks, and the answer."""
    lines = (shared_data / "instructions_en.jsonl").read_text(encoding="utf-8").split("\n")
    turns = [[m for m in json.loads(line)["messages"] if m["role"] != "system"][:2] for line in lines if line]
    return [pair for pair in turns if [message["role"] for message in pair] == ["user", "assistant"]]


@pytest.fixture(scope="module")
def byte_pairs(conversations: list[list[dict[str, str]]]) -> str:
    """A tokenizer that has learnt these texts, with spaces before words in their tokens, as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator((message["content"] for pair in conversations for message in pair), trainer)
    return str(made.to_str())


def derived(family: Family, tokenizer: Any, pair: list[dict[str, str]]) -> tuple[list[int], list[bool]]:
    """Return tokens and marks by the documented text round the contents: `prefix`, question, `suffix`, answer, end."""
    question, answer = (message["content"] for message in pair)
    text = tokenizer.apply_chat_template(pair, tokenize=False)
    between = family.suffix
    (before,) = {
        family.prefix + words + between
        for words in (question, question.strip())
        if text.startswith(family.prefix + words + between)
    }
    rest = text[len(before) :]
    first = len(before)
    assert rest.startswith(family.lead)
    before, rest = before + family.lead, rest.removeprefix(family.lead)
    words = answer if rest.startswith(answer) else answer.strip()
    assert rest.startswith(words)
    last = text.index(family.end, len(before) + len(words)) + len(family.end)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return encoded["input_ids"], [end > first and start < last for start, end in encoded["offset_mapping"]]


@pytest.mark.parametrize(("place", "name"), list(enumerate(FAMILIES)))
def test_every_token_of_real_instructions_is_marked_right(
    place: int, name: str, conversations: list[list[dict[str, str]]], byte_pairs: str
) -> None:
    """Each family has another quarter of them."""
    from tokenizers import Tokenizer

    family, conversations = FAMILIES[name], conversations[place % 4 :: 4]
    tokenizer = tokenizer_of(family, Tokenizer.from_str(byte_pairs))
    found = encode_chats(tokenizer, conversations, loss="assistant")
    compared = 0
    for pair, encoded in zip(conversations, found, strict=True):
        if not isinstance(encoded, TokenisedChat):  # a text spells a special token
            assert any(token in message["content"] for token in tokenizer.all_special_tokens for message in pair)
            continue
        ids, trained = derived(family, tokenizer, pair)
        assert encoded.ids == ids and encoded.trained == trained, pair
        compared += len(ids)
    assert compared > 70_000 and len(found) > 500
