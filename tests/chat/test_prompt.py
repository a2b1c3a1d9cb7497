"""The prompt for an answer, and whether a text of training has what it says."""

from __future__ import annotations

from typing import Any

import pytest
from chat_families import FAMILIES, Family, letters, tokenizer_of
from tokenizer_kinds import qwen_2

from latxa_cli.chat.loss_mask import encode_chat
from latxa_cli.chat.prompt import answer_prompt
from latxa_cli.training.data.tokenised import TokenisingSettings, tokenise_records

CHAT = [{"role": "user", "content": "Zer?"}, {"role": "assistant", "content": "Hori."}]
TWICE = [*CHAT, {"role": "user", "content": "Eta?"}, {"role": "assistant", "content": "Hau."}]
START = "<|im_start|>"
# The thought of a last answer, also an empty one, and the prompt for it: unasked, and where the template is told.
THINKS = (
    "{% for turn in messages %}{{ '<|im_start|>' + turn['role'] + '\n' }}"
    "{% if loop.last and turn['role'] == 'assistant' %}"
    "{{ '<think>\n' + turn['reasoning_content'] | default('') + '\n</think>\n\n' }}"
    "{% endif %}{{ turn['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '\n</think>\n\n' }}{% endif %}{% endif %}"
)
# As in distillations of DeepSeek R1: nothing of a thought is in a text of training.
DISTILLED = FAMILIES["ChatML"].template.replace("assistant\n' }}{% endif %}", "assistant\n<think>\n' }}{% endif %}")


# As SmolLM3: with thoughts switched off, the instructions are others, and answers have an empty thought in front.
SWITCHED = (
    "{% set quiet = enable_thinking is defined and not enable_thinking %}"
    "{{ '<|im_start|>system\n' + ('/no_think' if quiet else '/think') + '<|im_end|>\n' }}"
    "{% for turn in messages %}{{ '<|im_start|>' + turn['role'] + '\n' }}"
    "{% if quiet and turn['role'] == 'assistant' %}{{ '<think>\n\n</think>\n' }}{% endif %}"
    "{{ turn['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if quiet %}{{ '<think>\n\n</think>\n' }}{% endif %}{% endif %}"
)
ONLY_INSTRUCTIONS = SWITCHED.replace("<think>\n\n</think>\n", "")


def make(template: str, bare: Any = None) -> Any:
    ends = FAMILIES["ChatML"]
    return tokenizer_of(
        Family(template, None, ends.eos, ends.special, "", "", "", "", ""), letters() if bare is None else bare
    )


def trained(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    encoded = encode_chat(tokenizer, messages)
    learnt = [token for token, is_trained in zip(encoded.ids, encoded.trained, strict=True) if is_trained]
    return str(tokenizer.decode(learnt))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_asked_as_it_was_trained(name: str) -> None:
    family = FAMILIES[name]
    prompt = answer_prompt(tokenizer_of(family, letters()))
    assert prompt == (family.suffix + family.lead, family.lead, "")


def test_tokens_count_and_not_characters() -> None:
    """Two line breaks are one token: a prompt that ends with one of them is another, though its text is a beginning."""
    asked_otherwise = (
        "answers are learnt behind `<|im_end|>\\n<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n`, and asked for "
        "behind `<|im_end|>\\n<|im_start|>assistant\\n<think>\\n` unless the template is told `enable_thinking: false` "
        "(`--thinking off`)"
    )
    whole = make(THINKS, qwen_2(["a\n\nb\n\n\nc\n\n"] * 9))
    assert len(whole("\n\n", add_special_tokens=False)["input_ids"]) == 1
    assert encode_chat(whole, CHAT).remarks == {asked_otherwise}
    assert trained(whole, CHAT) == "Hori.<|im_end|>"
    assert not encode_chat(make(THINKS), CHAT).remarks
    assert trained(make(THINKS), CHAT) == "\n</think>\n\nHori.<|im_end|>"


@pytest.mark.parametrize(
    ("template", "behind"),
    [
        (SWITCHED, "`<|im_end|>\\n<|im_start|>assistant\\n<think>\\n\\n</think>\\n`"),
        (ONLY_INSTRUCTIONS, "another beginning"),
    ],
)
def test_a_prompt_without_thoughts_that_no_text_of_training_has_is_told(template: str, behind: str) -> None:
    (told,) = encode_chat(make(template), CHAT).remarks
    assert told == (
        f"answers are learnt behind `<|im_end|>\\n<|im_start|>assistant\\n`, and asked for behind {behind} where "
        "the template is told `enable_thinking: false` (`--thinking off`): `--chat-template` can name one that does so "
        "unasked"
    )
    unasked = template.replace("quiet = ", "quiet = enable_thinking is not defined or ")
    assert not encode_chat(make(unasked), CHAT).remarks
    assert not encode_chat(make(THINKS), CHAT).remarks


def test_answers_with_thoughts_are_asked_for_as_trained() -> None:
    whole = make(THINKS, qwen_2(["a\n\nb\n\n\nc\n\n"] * 9))
    with_thought = [CHAT[0], {**CHAT[1], "reasoning_content": "Hm."}]
    assert not encode_chat(whole, with_thought).remarks
    assert trained(whole, with_thought) == "Hm.\n</think>\n\nHori.<|im_end|>"


def test_a_prompt_that_no_text_of_training_has_is_told_and_counted() -> None:
    tokenizer = make(DISTILLED)
    records = [
        *({"id": str(n), "messages": some} for n, some in enumerate((CHAT, TWICE, CHAT[:1]))),
        {"id": "kept", "messages": [CHAT[0], {**CHAT[1], "weight": 0}]}, {"id": "text", "text": "etxea"},
    ]  # fmt: skip
    (told,) = tokenise_records(records, tokenizer, TokenisingSettings(999)).remarks.items()
    assert told == (
        "answers are learnt behind `<|im_end|>\\n<|im_start|>assistant\\n`, and asked for behind "
        "`<|im_end|>\\n<|im_start|>assistant\\n<think>\\n`: `--chat-template` can name a template without that", 2,
    )  # fmt: skip
    assert trained(tokenizer, TWICE) == "Hori.<|im_end|>Hau.<|im_end|>"


def test_a_special_token_in_a_message_is_found_behind_those_of_the_template() -> None:
    tokenizer = tokenizer_of(FAMILIES["gpt-oss"], letters())
    from latxa_cli.chat.rendering import TemplateError

    with pytest.raises(TemplateError, match=r"holds the special token `<\|end\|>`"):
        encode_chat(tokenizer, [CHAT[0], {"role": "assistant", "content": "Hori<|end|>."}])
