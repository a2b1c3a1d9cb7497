"""Bits per byte: how many bytes of text the trained tokens of a set stand for, against a count of the text itself."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizer_kinds import KINDS
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from latxa_cli.training.data.rows import IGNORED, PackedRows
from latxa_cli.training.data.tokenised import TokenisingSettings, tokenise_records
from latxa_cli.training.validation import trained_bytes

TEMPLATE = (
    "{% for m in messages %}<|user|>{% if m.role == 'assistant' %}A: {{ m.content }}</s>"
    "{% else %}U: {{ m.content }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|user|>A: {% endif %}"
)
TEXTS = ["Kaixo, mundua! Bi  hutsune , eta ' puntua .", "مرحبا بالعالم", "絵文字 🎉", "\nnew line\n\n", "a"]
CHAT = [
    {"role": "user", "content": "Zer?"}, {"role": "assistant", "content": "Ezer ez, مرحبا 🎉 ."},
    {"role": "user", "content": "Eta?"}, {"role": "assistant", "content": "etxe , mendi"},
]  # fmt: skip


def counted(records, tokenizer):
    """Return the bytes by `trained_bytes`, of rows that hold one piece each."""
    made = tokenise_records(records, tokenizer, TokenisingSettings(1000))
    total = 0
    for ids, trained in zip(made.ids, made.trained, strict=True):
        positions = np.arange(len(ids), dtype=np.int32)
        batch = PackedRows(ids[None], positions[None], np.where(trained, ids, IGNORED)[None].astype(np.int32))
        total += trained_bytes(batch, tokenizer)
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_trained_tokens_stand_for_the_bytes_of_texts_and_answers(kind):
    """Byte-level and SentencePiece's kinds; special tokens stand for none, user turns and the template count not."""
    made = KINDS[kind]()
    made.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", additional_special_tokens=["<|user|>"],
        chat_template=TEMPLATE,
    )  # fmt: skip
    texts = [{"id": str(number), "text": text} for number, text in enumerate(TEXTS)]
    assert counted(texts, tokenizer) == len("".join(TEXTS).encode())
    answers = "".join(turn["content"] for turn in CHAT if turn["role"] == "assistant")
    assert counted([{"id": "chat", "messages": CHAT}], tokenizer) == len(answers.encode())
