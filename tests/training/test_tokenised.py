"""Records to pieces, token by token: what is a target of the loss, and what happens at the very length of a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizer_kinds import gpt_2
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.data import tokenised
from latxa_cli.training.data.tokenised import TokenisingSettings, tokenise_records

TEMPLATE = (
    "{% for m in messages %}<|user|>{{ m.content }}{% if m.role == 'assistant' %}</s>"
    "{% endif %}{% endfor %}"
)  # fmt: skip


def document(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "d", "text": text, **more}


def chat(*contents: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant") * len(contents)
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    return {"id": "c", "messages": messages, **more}


def wrapped(backend: Tokenizer, **more: Any) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="</s>", additional_special_tokens=["<|user|>"], chat_template=TEMPLATE,
        **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def without_bos() -> PreTrainedTokenizerFast:
    return wrapped(gpt_2())


def ids_of(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    return ids


@pytest.mark.parametrize("tokens", [10, 12])
def test_the_first_token_of_every_piece_of_a_document_is_no_target(tokenizer: Any, tokens: int) -> None:
    text = "7" * (tokens - 2)  # digits are tokens of their own
    pieces = tokenise_records([document(text, source="web")], tokenizer, TokenisingSettings(4))
    (ids,), (trained,) = pieces.ids, pieces.trained
    assert ids.tolist() == [tokenizer.bos_token_id, *ids_of(tokenizer, text), tokenizer.eos_token_id]
    assert pieces.lengths == [4, 4, tokens - 8]
    assert np.flatnonzero(~trained).tolist() == [0, 4, 8]
    assert pieces.shares == {"web": {"records": 1, "tokens": tokens, "trained": tokens - 3}}


def test_a_last_piece_of_one_token_is_kept(tokenizer: Any) -> None:
    pieces = tokenise_records([document("7" * 7)], tokenizer, TokenisingSettings(4))
    assert pieces.lengths == [4, 4, 1] and len(pieces.ids[0]) == 9


def test_a_tokenizer_without_a_begin_of_text_has_none_in_documents(without_bos: Any) -> None:
    assert without_bos.bos_token_id is None
    (ids,) = tokenise_records([document("The old harbour")], without_bos, TokenisingSettings(100)).ids
    assert ids.tolist() == [*ids_of(without_bos, "The old harbour"), without_bos.eos_token_id]


def test_a_begin_of_text_that_the_tokenizer_does_not_write_itself_is_not_in_documents_either() -> None:
    """As of Phi-3 and OLMo 2: whoever uses the model gives it texts without."""
    tokenizer = wrapped(gpt_2(), bos_token="<s>")
    (ids,) = tokenise_records([document("The old harbour")], tokenizer, TokenisingSettings(100)).ids
    assert ids.tolist() == [*ids_of(tokenizer, "The old harbour"), tokenizer.eos_token_id]


def test_what_a_tokenizer_would_cut_off_or_fill_up_is_not() -> None:
    """Some models come with a tokenizer that was saved with limits on."""
    tokenizer = wrapped(gpt_2())
    text = "The old harbour keeper counts seven lamps"
    expected = [*ids_of(tokenizer, text), tokenizer.eos_token_id]
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=200)
    assert tokenise_records([document(text)], tokenizer, TokenisingSettings(1000)).ids[0].tolist() == expected


def test_the_tokenizer_takes_special_tokens_again_afterwards(without_bos: Any) -> None:
    spelled = "a</s>"
    before = ids_of(without_bos, spelled)
    tokenise_records([document(spelled)], without_bos, TokenisingSettings(100))
    assert ids_of(without_bos, spelled) == before and before[-1] == without_bos.eos_token_id


def test_the_largest_token_of_the_model_is_allowed_and_the_next_is_not() -> None:
    backend = gpt_2()
    last = backend.get_vocab_size()
    backend.add_tokens([AddedToken("zzz", special=False)])
    tokenizer = wrapped(backend)
    assert last in tokenise_records([document("zzz")], tokenizer, TokenisingSettings(10, vocabulary=last + 1)).ids[0]
    with pytest.raises(LatxaError, match=f"token {last} is outside of the model's vocabulary of {last}"):
        tokenise_records([document("zzz")], tokenizer, TokenisingSettings(10, vocabulary=last))


def test_more_records_than_are_tokenised_at_a_time(monkeypatch: pytest.MonkeyPatch, without_bos: Any) -> None:
    records = [document("a" * n) if n % 3 else chat("b" * n, "c", source=str(n % 2)) for n in range(1, 20)]
    losses = (("1", "all"),)
    whole = tokenise_records(records, without_bos, TokenisingSettings(100, losses=losses))  # type: ignore[arg-type]
    monkeypatch.setattr(tokenised, "BATCH", 4)
    parts = tokenise_records(records, without_bos, TokenisingSettings(100, losses=losses))  # type: ignore[arg-type]
    for one, other in ((whole.ids, parts.ids), (whole.trained, parts.trained)):
        assert [array.tolist() for array in one] == [array.tolist() for array in other]
    assert (whole.lengths, whole.shares) == (parts.lengths, parts.shares)
    assert len(whole.lengths) == len(records)


# --- conversations at the length of a row ----------------------------------------------------------------------------


def length_of(tokenizer: Any, record: dict[str, Any]) -> int:
    return len(tokenizer.apply_chat_template(record["messages"], tokenize=True)["input_ids"])


def test_a_conversation_as_long_as_a_row_is_whole(without_bos: Any) -> None:
    record = chat("one", "two", "three", "four")
    most = length_of(without_bos, record)
    pieces = tokenise_records([record], without_bos, TokenisingSettings(most))
    assert (pieces.lengths, pieces.shortened) == ([most], 0)
    shorter = chat("one", "two")
    pieces = tokenise_records([record], without_bos, TokenisingSettings(most - 1))
    assert (pieces.lengths, pieces.shortened) == ([length_of(without_bos, shorter)], 1)


@pytest.mark.parametrize("turns", [2, 4])
def test_a_shortened_conversation_may_fill_the_row(without_bos: Any, turns: int) -> None:
    contents = ("one", "two", "three", "four", "five", "six")
    most = length_of(without_bos, chat(*contents[:turns]))
    pieces = tokenise_records([chat(*contents)], without_bos, TokenisingSettings(most))
    assert (pieces.lengths, pieces.shortened) == ([most], 1)


def test_a_conversation_of_which_no_answer_fits_is_rejected(without_bos: Any) -> None:
    record = chat("one", "two", "three", "four")
    pieces = tokenise_records([record], without_bos, TokenisingSettings(length_of(without_bos, chat("one", "two")) - 1))
    assert [reject.reason for reject in pieces.rejects] == ["longer than the sequence"]
    assert (pieces.lengths, pieces.shortened) == ([], 0)


def test_a_shortened_conversation_is_learnt_as_its_source_is(without_bos: Any) -> None:
    record = chat("one", "two", "three " * 40, "four", source="all of it")
    length = length_of(without_bos, chat("one", "two"))
    losses = (("all of it", "all"),)
    both = tokenise_records([record], without_bos, TokenisingSettings(length + 1, losses=losses))  # type: ignore[arg-type]
    answers = tokenise_records([record], without_bos, TokenisingSettings(length + 1))
    assert both.shortened == answers.shortened == 1
    assert both.shares["all of it"]["trained"] == length - 1 > answers.shares["all of it"]["trained"] > 0


def test_only_an_answer_ends_a_shortened_conversation(without_bos: Any) -> None:
    """Not a turn of another role, which some templates know."""
    record = chat("one", "two", "three", "four " * 90)
    record["messages"].insert(2, {"role": "system", "content": "now be brief"})
    length = length_of(without_bos, chat("one", "two"))
    pieces = tokenise_records([record], without_bos, TokenisingSettings(length + 40))
    assert pieces.ids[0].tolist() == ids_of(without_bos, "<|user|>one<|user|>two</s>")


def trained_text(tokenizer: Any, record: dict[str, Any], loss: Any = "assistant") -> list[str]:
    """The trained parts of the only record, as text."""
    pieces = tokenise_records([record], tokenizer, TokenisingSettings(99, loss))
    (ids,), (trained,) = pieces.ids, pieces.trained
    runs = np.split(np.arange(len(ids)), np.flatnonzero(np.diff(trained.astype(int))) + 1)
    return [tokenizer.decode(ids[run]) for run in runs if trained[run[0]]]


@pytest.mark.parametrize(
    "kept_out", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"training": False}, {"loss": False}]
)
def test_messages_that_their_writer_kept_from_the_loss_are_not_trained(
    without_bos: Any, kept_out: dict[str, Any]
) -> None:
    record = chat("11", "22", "33", "44")
    record["messages"][1] |= kept_out
    assert trained_text(without_bos, record) == ["44</s>"]
    assert trained_text(without_bos, record, "all") == ["11<|user|>", "<|user|>33<|user|>44</s>"]
    record["messages"][2] |= kept_out
    assert trained_text(without_bos, record, "all") == ["11<|user|>", "<|user|>", "<|user|>44</s>"]


@pytest.mark.parametrize("counted", [{"weight": 1}, {"weight": None}, {"train": True}, {"loss": 1}, {"training": None}])
def test_messages_that_say_that_they_count_are_trained(without_bos: Any, counted: dict[str, Any]) -> None:
    record = chat("11", "22")
    record["messages"][1] |= counted
    assert trained_text(without_bos, record) == ["22</s>"]


def test_an_added_end_of_text_is_trained_as_its_answer_is() -> None:
    tokenizer = wrapped(gpt_2())
    tokenizer.chat_template = "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}"
    record = chat("11", "22", "33", "44")
    assert trained_text(tokenizer, record) == ["22<|user|>", "44</s>"]
    record["messages"][3]["weight"] = 0
    assert trained_text(tokenizer, record) == ["22<|user|>"]


def test_a_weight_between_is_rejected_and_other_fields_of_messages_are_counted(without_bos: Any) -> None:
    half, thoughts, plain = chat("11", "22"), chat("11", "22", "33", "44"), chat("11", "22")
    half["messages"][1]["weight"] = 0.5
    for place in (1, 3):
        thoughts["messages"][place] |= {"timestamp": "2024-01-02", "name": None, "weight": 1}
    pieces = tokenise_records([half, thoughts, plain], without_bos, TokenisingSettings(99))
    [reject] = pieces.rejects
    assert reject.reason == "a weight other than 0 and 1" and "0.5" in reject.detail
    assert len(pieces.ids) == 2 and pieces.remarks == {"`timestamp` of messages is not trained": 1}
