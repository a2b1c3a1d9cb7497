"""What Magpie gives a model, family by family: the templates as their makers document them, written anew.

Of each: the text before a user's first word with the template's own system block and without it, the text behind it,
and the text before the words of a second turn.
"""

from __future__ import annotations

from typing import Any

import pytest
from chat_families import FAMILIES, Family, letters, tokenizer_of

from latxa_cli.chat.loss_mask import encode_chat
from latxa_cli.chat.pre_query import pre_query
from latxa_cli.chat.rendering import TemplateError, render
from latxa_cli.chat.thinking import can_think, heeds_thinking, split_thought
from latxa_cli.chat.turn_end import end_of_answer_ids, end_of_turn_ids

TURNS = [{"role": "user", "content": "Zer?"}, {"role": "assistant", "content": "Hori."}]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[Family, Any]:
    """A family and a tokenizer with its template."""
    found = FAMILIES[request.param]
    return found, tokenizer_of(found, letters())


def test_the_text_round_an_instruction(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    around = pre_query(tokenizer)
    assert (around.prefix, around.suffix) == (expected.prefix, expected.suffix)
    assert pre_query(tokenizer, default_system=False).prefix == expected.bare


def test_the_text_round_the_second_instruction(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    said = f"Zer?{expected.suffix}{expected.lead_of_earlier}Hori.{expected.second}"
    assert pre_query(tokenizer, TURNS).prefix == expected.prefix + said
    assert pre_query(tokenizer, TURNS, default_system=False).prefix == expected.bare + said
    assert pre_query(tokenizer, TURNS).suffix == expected.suffix


def test_a_system_message(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    if not expected.system:
        with pytest.raises(TemplateError, match="refuses the conversation"):
            pre_query(tokenizer, system="You are a cook.")
        return
    around = pre_query(tokenizer, system="You are a cook.")
    assert around.prefix.count("You are a cook.") == 1 and "You are Qwen" not in around.prefix
    assert around.suffix == expected.suffix


def test_the_tokens_that_end_a_turn(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    ends = tokenizer(expected.end, add_special_tokens=False)["input_ids"]
    assert len(ends) == (2 if "RESPONSE" in expected.end else 1)
    assert set(end_of_answer_ids(tokenizer)) == {*ends, tokenizer.eos_token_id} <= set(end_of_turn_ids(tokenizer))


def test_what_ends_every_turn_is_trained_as_the_template_writes_it(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    messages = [*TURNS, {"role": "user", "content": "Eta?"}, TURNS[1]]
    encoded = encode_chat(tokenizer, messages)
    trained = [token for token, is_trained in zip(encoded.ids, encoded.trained, strict=True) if is_trained]
    earlier = f"{expected.lead_of_earlier}Hori.{expected.end if expected.end in expected.second else ''}"
    assert tokenizer.decode(trained) == f"{earlier}{expected.lead}Hori.{expected.end}"
    assert tokenizer.decode(encoded.ids) == render(tokenizer, messages)


def test_thinking(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    thinks = "enable_thinking" in expected.template
    assert can_think(tokenizer) == heeds_thinking(tokenizer) == thinks
    assert pre_query(tokenizer, thinking=True).suffix == expected.suffix
    silent = "<think>\n\n</think>\n\n" if thinks else ""
    assert pre_query(tokenizer, thinking=False).suffix == expected.suffix + silent


@pytest.mark.parametrize(
    ("text", "before", "thought", "answer"),
    [
        ("<think>\nhm\n</think>\n\nYes.", "<assistant>", "hm", "\n\nYes."),
        ("hm</think>Yes.", "<assistant><think>\n", "hm", "Yes."),
        ("</think>Yes.", "", "", "Yes."),
        ("Yes.", "<assistant>", "", "Yes."),
        ("hm, never en", "<assistant><think>\n", "hm, never en", ""),
        ("<think>hm, never en", "<assistant>", "hm, never en", ""),
        (" \n<think>hm</think>Yes.", "<assistant>", "hm", "Yes."),
        (" \n<think>hm, never en", "<assistant>", "hm, never en", ""),
    ],
)
def test_a_thought_and_an_answer(text: str, before: str, thought: str, answer: str) -> None:
    assert split_thought(text, before) == (thought, answer)
