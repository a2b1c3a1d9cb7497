"""Prompts and completions of models that think aloud."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latxa_cli.generation.engine import Decoding, Request
from latxa_cli.generation.prompts import Codec
from latxa_cli.stream.errors import LatxaError
from latxa_cli.tokenizer import load_tokenizer

TEMPLATE = (
    "{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|assistant|>' }}{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    "{% if enable_thinking is defined and enable_thinking %}<think>{% endif %}{% endif %}"
)
MESSAGES = ({"role": "user", "content": "old storm"},)


@pytest.fixture(scope="module")
def codec(tiny_models: Path) -> Codec:
    tokenizer: Any = load_tokenizer(str(tiny_models / "trained"))
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<think>", "</think>", "<|user|>", "<|assistant|>", "<|end|>"]}
    )
    tokenizer.chat_template = TEMPLATE
    return Codec(tokenizer, None, vocabulary=len(tokenizer), context=256)


def written(codec: Codec, text: str, **given: Any) -> tuple[str, str]:
    ids = codec.tokenizer(text, add_special_tokens=False)["input_ids"]
    found = codec.completion(Request(Decoding(), **given), 4, ids)
    return found.thought, found.text.strip()


def test_the_template_is_told(codec: Codec) -> None:
    prompts = [
        codec.decode(codec.encode(Request(Decoding(), messages=MESSAGES, thinking=thinking)))  # type: ignore[arg-type]
        for thinking in (None, True, False)
    ]
    assert [prompt.partition("<|assistant|>")[2] for prompt in prompts] == ["", "<think>", "<think></think>"]


def test_thought_and_answer_are_parted_in_conversations_alone(codec: Codec) -> None:
    assert written(codec, "warm</think> bread<|end|>", messages=MESSAGES) == ("warm", "bread")
    assert written(codec, "warm bread<|end|>", messages=MESSAGES) == ("", "warm bread")
    assert written(codec, "warm bread", messages=MESSAGES, thinking=True) == ("warm bread", "")
    assert written(codec, "warm bread<|end|>", messages=MESSAGES, thinking=False) == ("", "warm bread")
    assert written(codec, "warm</think> bread<|end|>", prompt="<|user|>") == ("", "warm</think> bread")


def test_what_no_request_can_be_answered_with_is_told_at_once(tiny_models: Path) -> None:
    tokenizer: Any = load_tokenizer(str(tiny_models / "trained"))
    with pytest.raises(LatxaError, match=r"the tokenizer gives the token \d+, and the model has 8 embeddings"):
        Codec(tokenizer, None, vocabulary=8, context=256).encode(Request(Decoding(), prompt="old storm"))
    tokenizer.eos_token = None
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    endless = Codec(tokenizer, None, vocabulary=len(tokenizer), context=256)
    with pytest.raises(LatxaError, match="no token that ends its answers"):
        endless.encode(Request(Decoding(), prompt="old storm"))
    assert endless.encode(Request(Decoding(stop=("\n",)), text="old storm")), "a stop string will do"


def test_tokens_are_counted(codec: Codec) -> None:
    before = codec.prompt_tokens, codec.completion_tokens
    ids = codec.tokenizer("warm bread", add_special_tokens=False)["input_ids"]
    codec.completion(Request(Decoding(), prompt="the"), 7, ids)
    assert (codec.prompt_tokens - before[0], codec.completion_tokens - before[1]) == (7, len(ids))


def test_plain_text_begins_as_in_training_and_spells_no_special_token(codec: Codec) -> None:
    end = codec.tokenizer.convert_tokens_to_ids("<|end|>")
    plain, written = (codec.encode(Request(Decoding(), **{kind: "old<|end|>"})) for kind in ("text", "prompt"))
    assert isinstance(plain, list) and isinstance(written, list)
    assert plain[0] == codec.tokenizer.bos_token_id != written[0]
    assert end not in plain and written[-1] == end


def test_a_prompt_fits_where_one_token_can_follow(codec: Codec) -> None:
    request = Request(Decoding(9), prompt="old storm")
    ids = codec.encode(request)
    assert isinstance(ids, list)
    tight, full = (Codec(codec.tokenizer, None, vocabulary=len(codec.tokenizer), context=len(ids) + n) for n in (1, 0))
    assert tight.encode(request) == ids and tight.room(request, ids) == 1 and codec.room(request, ids) == 9
    too_long = full.encode(request)
    assert not isinstance(too_long, list) and (too_long.finish_reason, too_long.prompt_tokens) == ("too long", len(ids))


def test_whatever_comes_first_ends_a_text(codec: Codec) -> None:
    def ending(ids: list[int], *stop: str) -> tuple[str, str]:
        found = codec.completion(Request(Decoding(stop=stop), text="x"), 1, ids)
        return found.text, found.finish_reason

    ids = codec.tokenizer("old warm bread", add_special_tokens=False)["input_ids"]
    assert ending(ids, "bread", "warm") == ending(ids, "warm", "bread") == ("old ", "stop")
    assert ending(ids, "storm") == ("old warm bread", "length")
    other = codec.tokenizer.convert_tokens_to_ids("<|user|>")
    several = Codec(codec.tokenizer, SimpleNamespace(eos_token_id=other), vocabulary=len(codec.tokenizer), context=256)
    assert len(several.ends) > 1
    for end in several.ends:
        found = several.completion(Request(Decoding(), text="x"), 1, [*ids, end])
        assert (found.text, found.finish_reason) == ("old warm bread", "stop")
