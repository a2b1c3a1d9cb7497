"""Loss on other texts: against a plain count, for any number of processes."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from latxa_cli.training.data.rows import IGNORED, PackedRows
from latxa_cli.training.network.forward import PackedLoss
from latxa_cli.training.processes import Processes
from latxa_cli.training.validation import ValidationSets, trained_bytes


def test_loss_perplexity_and_bits_per_byte_of_documents(model, prepared, tokenizer):
    texts = ["katu gorria etxean da", "ñandú 日本語 — mendi 🙂", "ibai " * 60]
    rows = prepared([{"text": text} for text in texts]).rows
    validation = ValidationSets({"eu": rows}, Processes(), tokenizer, batch_size=2)
    (found,) = validation.lines(PackedLoss(model, attention="sdpa"), step=3)
    assert (found["step"], found["validation"]) == (3, "eu")
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


class Counted(torch.nn.Module):
    """A network whose loss is what its rows have to train, each token 100 nats."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.passes = 0

    def forward(self, input_ids, position_ids, where, targets, boundaries, longest):
        self.passes += 1
        return 100.0 * len(targets) + self.weight.sum()


class FewRows:
    """Rows of unequal numbers of trained tokens: 1, 2, 3, …, of which token 7 is the letter `a`."""

    def __init__(self, count):
        self.count, self.trained = count, count * (count + 1) // 2

    def __len__(self):
        return self.count

    def batch(self, numbers):
        ids = np.full((len(numbers), 16), 7, np.int32)
        labels = np.full_like(ids, IGNORED)
        for place, number in enumerate(numbers):
            labels[place, 1 : 2 + number] = 7
        return PackedRows(ids, np.tile(np.arange(16, dtype=np.int32), (len(numbers), 1)), labels)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8])
def test_rows_count_by_their_trained_tokens_however_they_are_put_together(batch_size):
    letters = SimpleNamespace(decode=lambda ids, skip_special_tokens: "a" * len(ids))
    alive = []
    validation = ValidationSets(
        {"eu": FewRows(5)}, Processes(), letters, batch_size=batch_size, alive=lambda: alive.append(1)
    )  # fmt: skip
    network = Counted()
    (found,) = validation.lines(network, step=0)
    assert found["loss"] == 100.0 and found["tokens"] == 15
    assert found["perplexity"] == pytest.approx(math.exp(100.0))
    assert found["bits_per_byte"] == pytest.approx(100 / math.log(2))
    assert network.passes == len(alive) == -(-5 // batch_size), "a watchdog is told of each pass"


def test_processes_share_out_the_rows_of_a_set():
    """Each has as many passes as the others; together they see every row once."""
    seen = []
    for rank in range(3):
        processes = SimpleNamespace(rank=rank, world=3, sum=lambda *values: list(values))
        validation = ValidationSets({}, processes, None, batch_size=2)
        mine = validation._mine(FewRows(7))
        assert len(mine) == 2
        seen += [int(number) for numbers in mine for number in numbers]
    assert sorted(seen) == list(range(7))
