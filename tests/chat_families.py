"""Chat templates of many families, as their makers document them, written anew; tokenizers that have them."""

from __future__ import annotations

from typing import Any, NamedTuple

ALTERNATE = (
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{%- endif -%}"
)
CHATML = "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
ASSISTANT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

COHERE_SPECIAL = (
    "<|START_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|START_RESPONSE|>",
    "<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>",
)  # fmt: skip
COHERE_USER = "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>"
COHERE_TURNS = (
    "{%- for message in turns %}{%- if message['role'] == 'user' -%}"
    "{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + message['content'].strip() + '<|END_OF_TURN_TOKEN|>' }}"
    "{%- else -%}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>' + message['content'].strip() }}"
    "{{- '<|END_RESPONSE|><|END_OF_TURN_TOKEN|>' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt -%}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>' }}{%- endif %}"
)
COHERE_FIRST = (
    "{{ bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set told = messages[0]['content'] %}"
    "{%- set turns = messages[1:] %}{%- else %}{%- set told = '' %}{%- set turns = messages %}{%- endif -%}"
)
COHERE_SUFFIX = "<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>"
COHERE_END = "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"


class Family(NamedTuple):
    """A family's template, and what it writes.

    Attributes:
        template: the template.
        bos, eos: the tokens of the begin and the end of a text.
        special: other special tokens.
        prefix: the text before a user's first word, with the template's own system block.
        bare: the same without that.
        suffix: the text between a question and its answer.
        second: the text behind an answer that a question follows.
        end: the tokens that end a last answer.
        system: whether the template takes a system message.
        lead: what a text has between the prompt for a last answer and the answer.
    """

    template: str
    bos: str | None
    eos: str
    special: tuple[str, ...]
    prefix: str
    bare: str
    suffix: str
    second: str
    end: str
    system: bool = True
    lead: str = ""

    @property
    def lead_of_earlier(self) -> str:
        """The same for an answer that a question follows: no empty thought."""
        return "" if "<think>" in self.lead else self.lead


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
        "{%- for message in messages %}{%- if loop.last and message['role'] == 'assistant' %}"
        "{{- '<|im_start|>assistant\n<think>\n\n</think>\n\n' + message['content'] + '<|im_end|>\n' }}"
        "{%- else %}" + CHATML + "{%- endif %}{%- endfor %}{%- if add_generation_prompt %}"
        "{{- '<|im_start|>assistant\n' }}{%- if enable_thinking is defined and enable_thinking is false %}"
        "{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}",
        None, "<|im_end|>", ("<|im_start|>",), "<|im_start|>user\n", "<|im_start|>user\n",
        "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n<|im_start|>user\n", "<|im_end|>",
        lead="<think>\n\n</think>\n\n",
    ),
    "gpt-oss": Family(
        "{{ '<|start|>system<|message|>You are a model.<|end|>' }}{%- for message in messages %}"
        "{%- if message['role'] == 'assistant' %}{{- '<|start|>assistant<|channel|>final<|message|>' }}"
        "{{- message['content'] + ('<|return|>' if loop.last and not add_generation_prompt else '<|end|>') }}"
        "{%- else %}{{- '<|start|>' + ('user' if message['role'] == 'user' else 'developer') + '<|message|>' }}"
        "{{- message['content'] + '<|end|>' }}{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{%- endif %}",
        "<|startoftext|>", "<|return|>", ("<|start|>", "<|channel|>", "<|message|>", "<|end|>"),
        "<|start|>system<|message|>You are a model.<|end|><|start|>user<|message|>", "<|start|>user<|message|>",
        "<|end|><|start|>assistant", "<|end|><|start|>user<|message|>", "<|return|>",
        lead="<|channel|>final<|message|>",
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
        system=False, lead=" ",
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
    "OLMo 2": Family(
        "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] }}"
        "{% if message['role'] == 'assistant' %}{{ eos_token }}{% if not loop.last %}{{ '\n' }}{% endif %}"
        "{% else %}{{ '\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        "<|endoftext|>", "<|endoftext|>", (), "<|endoftext|><|user|>\n", "<|endoftext|><|user|>\n",
        "\n<|assistant|>\n", "<|endoftext|>\n<|user|>\n", "<|endoftext|>",
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
    "Cohere 2": Family(
        COHERE_FIRST + "{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + told + '<|END_OF_TURN_TOKEN|>' }}"
        + COHERE_TURNS,
        "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", COHERE_SPECIAL,
        f"<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|><|END_OF_TURN_TOKEN|>{COHERE_USER}",
        f"<BOS_TOKEN>{COHERE_USER}", COHERE_SUFFIX, COHERE_END + COHERE_USER, COHERE_END,
    ),
    "Tiny Aya": Family(
        COHERE_FIRST + "{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|># System Preamble\nBe helpful.\n' }}"
        "{%- if told -%}{{ '\n# Developer Preamble\n' + told }}{%- endif -%}{{ '<|END_OF_TURN_TOKEN|>' }}"
        + COHERE_TURNS,
        "<BOS_TOKEN>", "<EOS_TOKEN>", COHERE_SPECIAL,
        "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|># System Preamble\nBe helpful.\n<|END_OF_TURN_TOKEN|>"
        + COHERE_USER,
        f"<BOS_TOKEN>{COHERE_USER}", COHERE_SUFFIX, COHERE_END + COHERE_USER, COHERE_END,
    ),
}  # fmt: skip


def letters() -> Any:
    """Return a tokenizer whose tokens are the 256 bytes, without special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def tokenizer_of(family: Family, bare: Any) -> Any:
    """Return `bare` with the special tokens and the template of a family."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    bare.add_tokens([AddedToken("<think>", special=False), AddedToken("</think>", special=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token=family.bos, eos_token=family.eos, chat_template=family.template,
        extra_special_tokens=list(family.special),
    )  # fmt: skip
