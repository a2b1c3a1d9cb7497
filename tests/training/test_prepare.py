"""Tokenising and packing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import prepare as module
from latxa_cli.training.prepare import IGNORED, best_fit, prepare


def pieces(packed):
    """The pieces of all rows: (ids, labels), padding included."""
    for ids, positions, labels in zip(packed.input_ids, packed.position_ids, packed.labels, strict=True):
        cuts = [*np.flatnonzero(positions == 0).tolist(), len(ids)]
        for start, end in itertools.pairwise(cuts):
            assert positions[start:end].tolist() == list(range(end - start))
            yield ids[start:end].tolist(), labels[start:end].tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=80))
def test_bins_hold_every_item_once_and_are_few(lengths):
    bins = best_fit(lengths, 40)
    assert sorted(index for items in bins for index in items) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in items) <= 40 for items in bins)
    assert len(bins) <= 11 / 9 * -(-sum(lengths) // 40) + len(lengths) / 2 + 1
    assert sum(1 for items in bins if sum(lengths[index] for index in items) * 2 <= 40) <= 1


def test_the_best_fit_is_taken():
    assert best_fit([6, 5, 4, 3, 2], 10) == [[0, 2], [1, 3, 4]]


def test_every_token_of_every_record_is_in_a_row(records, tokenizer):
    prepared = prepare(records, tokenizer, sequence_length=64, chat_loss="assistant")
    expected = []
    for record in records:
        if "text" in record:
            ids = [0, *tokenizer(record["text"], add_special_tokens=False)["input_ids"], 1]
        else:
            text = tokenizer.apply_chat_template(record["messages"], tokenize=False)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        expected.extend(ids[start : start + 64] for start in range(0, len(ids), 64))
    found = [ids for ids, _ in pieces(prepared.packed) if set(ids) != {tokenizer.pad_token_id}]
    assert sorted(found) == sorted(expected)
    assert prepared.tokens == sum(map(len, expected))
    assert prepared.fill == pytest.approx(prepared.tokens / prepared.packed.input_ids.size)
    assert prepared.fill > 0.9


def test_labels_are_the_ids_and_the_first_of_a_piece_is_none(records, tokenizer):
    prepared = prepare(records, tokenizer, sequence_length=64, chat_loss="assistant")
    for ids, labels in pieces(prepared.packed):
        assert labels[0] == IGNORED
        assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
        if ids[-1] == 1:  # a document's end
            assert labels[1:] == ids[1:]
        if set(ids) == {tokenizer.pad_token_id}:
            assert set(labels) == {IGNORED}
    assert int((prepared.packed.labels != IGNORED).sum()) == prepared.trained


def test_shares_of_the_sources(records, tokenizer):
    assistant = prepare(records, tokenizer, sequence_length=64, chat_loss="assistant").shares
    everything = prepare(records, tokenizer, sequence_length=64, chat_loss="all").shares
    assert (assistant["web"].records, assistant["chats"].records) == (60, 40)
    assert assistant["web"] == everything["web"]
    chats = everything["chats"]
    assert 0 < assistant["chats"].trained < chats.trained == chats.tokens - 2 * 40  # all but begin and user header


def test_a_long_document_is_cut_without_losing_a_token(tokenizer):
    text = "mendi handi eta ibai txiki " * 40
    prepared = prepare([{"id": "1", "text": text}], tokenizer, sequence_length=50, chat_loss="assistant")
    ids = [0, *tokenizer(text, add_special_tokens=False)["input_ids"], 1]
    found = sorted(piece for piece, _ in pieces(prepared.packed) if tokenizer.pad_token_id not in piece)
    assert found == sorted(ids[start : start + 50] for start in range(0, len(ids), 50))


def test_chats_that_do_not_fit_are_rejected_with_a_reason(records, tokenizer):
    long = {"id": "l", "messages": [{"role": "user", "content": "etxe " * 99}, {"role": "assistant", "content": "a"}]}
    wrong = {"id": "w", "messages": [{"role": "tool", "content": "a"}, {"role": "assistant", "content": "a"}]}
    prepared = prepare([long, *records, wrong], tokenizer, sequence_length=64, chat_loss="assistant")
    assert [(reject.record["id"], reject.reason) for reject in prepared.rejects] == [
        ("l", "longer than the sequence"),
        ("w", "refused by the chat template"),
    ]
    assert "the role tool is not known" in prepared.rejects[1].detail


def test_small_windows_and_batches_hold_the_same_pieces(records, tokenizer, monkeypatch):
    whole = sorted(pieces(prepare(records, tokenizer, sequence_length=64, chat_loss="all").packed))
    monkeypatch.setattr(module, "WINDOW", 7)
    monkeypatch.setattr(module, "BATCH", 3)
    parts = sorted(pieces(prepare(records, tokenizer, sequence_length=64, chat_loss="all").packed))
    padding = tokenizer.pad_token_id
    assert [piece for piece in parts if padding not in piece[0]] == [p for p in whole if padding not in p[0]]


def test_a_source_of_which_nothing_is_trained_is_named(records, tokenizer):
    question = {"id": "q", "messages": [{"role": "user", "content": "Zer?"}], "source": "questions"}
    prepared = prepare([*records, question], tokenizer, sequence_length=64, chat_loss="assistant")
    assert prepared.untrained_sources == ["questions"]


def test_an_empty_mix_and_one_without_anything_to_learn(tokenizer):
    with pytest.raises(LatxaError, match="the mix is empty"):
        prepare([], tokenizer, sequence_length=64, chat_loss="assistant")
    question = {"id": "q", "messages": [{"role": "user", "content": "Zer?"}]}
    with pytest.raises(LatxaError, match="nothing in the mix is trained"):
        prepare([question], tokenizer, sequence_length=64, chat_loss="assistant")


def test_other_splits_are_left_out_and_counted(records, tokenizer):
    splits = [None, {}, {"split": None}, {"split": "train"}, {"split": "valid"}, {"split": "test"}]
    mixed = [record | {"metadata": splits[place % 6]} for place, record in enumerate(records)]
    wanted = [record for place, record in enumerate(mixed) if place % 6 < 4]
    prepared = prepare(mixed, tokenizer, sequence_length=64, chat_loss="assistant")
    assert prepared.other_split == len(mixed) - len(wanted) > 0
    expected = prepare(wanted, tokenizer, sequence_length=64, chat_loss="assistant")
    assert (prepared.packed.input_ids == expected.packed.input_ids).all()
    assert prepared.shares == expected.shares
    others = [record for record in mixed if record not in wanted]
    with pytest.raises(LatxaError, match=f"all {len(others)} records are of other splits than `train`"):
        prepare(others, tokenizer, sequence_length=64, chat_loss="assistant")


def test_texts_that_spell_special_tokens_do_not_become_them(tokenizer):
    end = tokenizer.eos_token
    page = {"id": "page", "text": f"etxe {end} mendi"}
    turns = [{"role": "user", "content": f"etxe {end}"}, {"role": "assistant", "content": "mendi"}]
    prepared = prepare([page, {"id": "chat", "messages": turns}], tokenizer, sequence_length=64, chat_loss="assistant")
    assert prepared.packed.input_ids[0].tolist().count(tokenizer.eos_token_id) == 1  # the one that we put there
    (reject,) = prepared.rejects
    assert reject.reason == "refused by the chat template" and f"special token `{end}`" in reject.detail
