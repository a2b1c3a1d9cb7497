"""What Magpie gives a model, family by family: the templates as their makers document them, written anew.

Of each: the text before a user's first word with the template's own system block and without it, the text behind it,
and the text before the words of a second turn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from latxa_cli.chat import TemplateError, can_think, end_of_turn_ids, heeds_thinking, pre_query, split_thought

ALTERNATE = (
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{%- endif -%}"
)
CHATML = "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
ASSISTANT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"


class Family(NamedTuple):
    template: str
    bos: str | None
    eos: str
    special: tuple[str, ...]
    prefix: str
    bare: str
    suffix: str
    second: str  # behind `prefix`, "Zer?", `suffix` and "Hori."
    end: str
    system: bool = True


FAMILIES = {
    "Llama 3.1": Family(
        "{{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] | trim %}"
        "{%- set messages = messages[1:] %}{%- else %}{%- set system = '' %}{%- endif %}"
        "{{- '<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n' }}"
        "{{- 'Today Date: 26 Jul 2024\n\n' + system + '<|eot_id|>' }}{%- for message in messages %}"
        "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim }}"
        "{{- '<|eot_id|>' }}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}",
        "<|begin_of_text|>", "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>"),
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
        "Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>",
    ),
    "Qwen 2.5": Family(
        "{%- if messages[0]['role'] == 'system' %}"
        "{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
        "{%- else %}{{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        "<|im_end|>\n' }}{%- endif %}{%- for message in messages %}{%- if message['role'] != 'system' %}"
        + CHATML + "{%- endif %}{%- endfor %}" + ASSISTANT,
        None, "<|im_end|>", ("<|im_start|>", "<|endoftext|>"),
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n",
        "<|im_end|>\n<|im_start|>user\n", "<|im_end|>",
    ),
    "Qwen 3": Family(
        "{%- for message in messages %}" + CHATML + "{%- endfor %}{%- if add_generation_prompt %}"
        "{{- '<|im_start|>assistant\n' }}{%- if enable_thinking is defined and enable_thinking is false %}"
        "{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}",
        None, "<|im_end|>", ("<|im_start|>",), "<|im_start|>user\n", "<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>user\n", "<|im_end|>",
    ),
    "Gemma 2": Family(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}{% for message in messages %}" + ALTERNATE
        + "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        "<bos>", "<eos>", ("<start_of_turn>", "<end_of_turn>"), "<bos><start_of_turn>user\n",
        "<bos><start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>\n<start_of_turn>user\n",
        "<end_of_turn>", system=False,
    ),
    "Gemma 3": Family(
        "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set first = messages[0]['content'] + '\n\n' -%}"
        "{%- set turns = messages[1:] -%}{%- else -%}{%- set first = '' -%}{%- set turns = messages -%}{%- endif -%}"
        "{%- for message in turns -%}" + ALTERNATE
        + "{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}"
        "{{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') + message['content'] | trim }}"
        "{{ '<end_of_turn>\n' }}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}",
        "<bos>", "<eos>", ("<start_of_turn>", "<end_of_turn>"), "<bos><start_of_turn>user\n",
        "<bos><start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>\n<start_of_turn>user\n",
        "<end_of_turn>",
    ),
    "Mistral": Family(
        "{{ bos_token }}{% for message in messages %}" + ALTERNATE
        + "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + '[/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}",
        "<s>", "</s>", ("[INST]", "[/INST]"), "<s>[INST] ", "<s>[INST] ", "[/INST]", "</s>[INST] ", "</s>",
        system=False,
    ),
    "Phi 3.5": Family(
        "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
        "<s>", "<|endoftext|>", ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"), "<|user|>\n", "<|user|>\n",
        "<|end|>\n<|assistant|>\n", "<|end|>\n<|user|>\n", "<|end|>",
    ),
    "Phi 4": Family(
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] }}"
        "{{ '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}",
        None, "<|im_end|>", ("<|im_start|>", "<|im_sep|>"), "<|im_start|>user<|im_sep|>", "<|im_start|>user<|im_sep|>",
        "<|im_end|><|im_start|>assistant<|im_sep|>", "<|im_end|><|im_start|>user<|im_sep|>", "<|im_end|>",
    ),
    "ChatML": Family(
        "{% for message in messages %}" + CHATML + "{% endfor %}" + ASSISTANT,
        None, "<|im_end|>", ("<|im_start|>",), "<|im_start|>user\n", "<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>user\n", "<|im_end|>",
    ),
    "Alpaca-like": Family(
        "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
        "{% elif message['role'] == 'user' %}{{ '### Instruction:\n' + message['content'] + '\n\n' }}"
        "{% else %}{{ '### Response:\n' + message['content'] + eos_token + '\n\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}",
        "<s>", "</s>", (), "### Instruction:\n", "### Instruction:\n", "\n\n### Response:\n",
        "</s>\n\n### Instruction:\n", "</s>",
    ),
}  # fmt: skip
TURNS = [{"role": "user", "content": "Zer?"}, {"role": "assistant", "content": "Hori."}]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[Family, Any]:
    """A family and a tokenizer with its template."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    found = FAMILIES[request.param]
    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    bare = Tokenizer(models.BPE(vocab=letters, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.add_tokens([AddedToken("<think>", special=False), AddedToken("</think>", special=False)])
    made = PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token=found.bos, eos_token=found.eos, chat_template=found.template,
        extra_special_tokens=list(found.special),
    )  # fmt: skip
    return found, made


def test_the_text_round_an_instruction(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    around = pre_query(tokenizer)
    assert (around.prefix, around.suffix) == (expected.prefix, expected.suffix)
    assert pre_query(tokenizer, default_system=False).prefix == expected.bare


def test_the_text_round_the_second_instruction(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    gap = " " if expected.bos == "<s>" and "[INST]" in expected.special else ""  # Mistral parts an answer from [/INST]
    said = f"Zer?{expected.suffix}{gap}Hori.{expected.second}"
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


def test_the_token_that_ends_a_turn(family: tuple[Family, Any]) -> None:
    expected, tokenizer = family
    assert tokenizer.convert_tokens_to_ids(expected.end) in end_of_turn_ids(tokenizer)


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
