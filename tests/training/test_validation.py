"""Loss on other texts: against a plain count, for any number of processes."""

from __future__ import annotations

import math

import pytest
import torch

from latxa_cli.training.forward import PackedLoss
from latxa_cli.training.processes import Processes
from latxa_cli.training.rows import IGNORED
from latxa_cli.training.validation import Validation, trained_bytes


def test_loss_perplexity_and_bits_per_byte_of_documents(model, prepared, tokenizer):
    texts = ["katu gorria etxean da", "ñandú 日本語 — mendi 🙂", "ibai " * 60]
    rows = prepared([{"text": text} for text in texts]).rows
    found = Validation({"eu": rows}, Processes(), tokenizer, batch_size=2)(PackedLoss(model, attention="sdpa"))["eu"]
    nats = 0.0
    for text in texts:
        ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        for start in range(0, len(ids), 64):  # as they are cut
            piece = torch.tensor([ids[start : start + 64]])
            likelihoods = model(input_ids=piece).logits[0].log_softmax(-1)
            nats -= likelihoods[:-1].gather(1, piece[0, 1:, None]).sum().item()
    assert found["tokens"] == rows.trained
    assert found["loss"] == pytest.approx(nats / rows.trained, rel=1e-5)
    assert found["perplexity"] == pytest.approx(math.exp(nats / rows.trained), rel=1e-4)
    size = sum(len(text.encode()) for text in texts) - 1 * sum(len(tokenizer(t).input_ids) > 64 for t in texts)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=0.02)


def test_bytes_of_conversations_are_those_of_their_answers(prepared, tokenizer):
    turns = [("user", "nor da?"), ("assistant", "Ñabarra zaharra."), ("user", "eta?"), ("assistant", "etxe bat")]
    record = {"messages": [{"role": role, "content": content} for role, content in turns]}
    rows = prepared([record]).rows
    assert trained_bytes(rows.batch([0]), tokenizer) == len("Ñabarra zaharra.etxe bat".encode())
    batch = rows.batch([0])
    assert trained_bytes(batch._replace(labels=batch.labels * 0 + IGNORED), tokenizer) == 0
