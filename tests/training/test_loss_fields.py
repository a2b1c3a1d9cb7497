"""What conversations say about the loss themselves, in the ways of several tools; and those that teach nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from tokenizer_kinds import gpt_2
from transformers import PreTrainedTokenizerFast

from latxa_cli.training.data.tokenised import TokenisingSettings, tokenise_records

TEMPLATE = "{% for m in messages %}<|user|>{{ m.content }}{% if m.role == 'assistant' %}</s>{% endif %}{% endfor %}"
UNREAD, UNTRAINED = "a field about the loss that is not read", "nothing of it is trained"
Record = dict[str, Any]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=gpt_2(), eos_token="</s>", additional_special_tokens=["<|user|>"], chat_template=TEMPLATE
    )


def talk(*contents: str, **record: Any) -> Record:
    roles = ("user", "assistant") * len(contents)
    said = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    return {"id": "t", "messages": said, **record}


def with_field(name: str, value: object) -> Record:
    """A conversation whose first answer has the field."""
    record = talk("11", "22", "33", "44")
    record["messages"][1][name] = value
    return record


def outcome(tokenizer: Any, record: Record, length: int = 99, loss: Any = "assistant") -> tuple[list[str], list[str]]:
    """The trained texts of a record, a space between them, and the reasons for which it is left out."""
    before = copy.deepcopy(record)
    pieces = tokenise_records([record], tokenizer, TokenisingSettings(length, loss))
    assert record == before
    texts = []
    for ids, trained in zip(pieces.ids, pieces.trained, strict=True):
        words = [tokenizer.decode([token]) if learnt else " " for token, learnt in zip(ids, trained, strict=True)]
        texts.append(" ".join("".join(words).split()))
    return texts, [reject.reason for reject in pieces.rejects]


@pytest.mark.parametrize(
    ("name", "value"),
    [("train", 0), ("training", 0.0), ("trainable", False), ("loss", 0), ("loss_mask", 0), ("masked", True),
     ("masked", 1), ("weight", False)],
)  # fmt: skip
def test_an_answer_that_is_kept_from_the_loss_in_the_words_of_another_tool_is_not_trained(
    tokenizer: Any, name: str, value: object
) -> None:
    assert outcome(tokenizer, with_field(name, value)) == (["44</s>"], [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("train", 1), ("trainable", True), ("loss", 1), ("loss_mask", 1.0), ("masked", False), ("masked", None),
     ("train_detail", None), ("weight", True)],
)  # fmt: skip
def test_an_answer_that_counts_in_these_words_is_trained(tokenizer: Any, name: str, value: object) -> None:
    assert outcome(tokenizer, with_field(name, value)) == (["22</s> 44</s>"], [])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("train", "false", UNREAD), ("loss", 0.0, UNREAD), ("loss", 1.25, UNREAD), ("masked", [True], UNREAD),
        ("train_detail", [{"begin_offset": 0, "end_offset": 1, "train": False}], UNREAD), ("loss_scale", 0, UNREAD),
        ("no_loss", True, UNREAD), ("is-masked", 1, UNREAD), ("Loss_Weight", 0.5, UNREAD),
        ("weight", "0", "a weight other than 0 and 1"), ("weight", float("nan"), "a weight other than 0 and 1"),
    ],
)  # fmt: skip
def test_what_is_not_understood_of_the_loss_leaves_the_conversation_out(
    tokenizer: Any, name: str, value: object, reason: str
) -> None:
    record = with_field(name, value)
    assert outcome(tokenizer, record) == ([], [reason])
    (reject,) = tokenise_records([record], tokenizer, TokenisingSettings(99)).rejects
    assert f"`{name}`" in reject.detail and json.dumps(value)[:9] in reject.detail


def test_fields_that_only_look_as_if_they_were_about_the_loss_are_none_of_it(tokenizer: Any) -> None:
    for name in ("glossary", "trainer", "restraint", "heavyweighty", "damask"):
        assert outcome(tokenizer, with_field(name, 0)) == (["22</s> 44</s>"], [])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (talk("11", "22", weight=0), UNTRAINED),
        (talk("11", "22", weight=False), UNTRAINED),
        (talk("11", "22", train=False), UNTRAINED),
        (talk("11", "22", weight=0.5), "a weight other than 0 and 1"),
        (talk("11"), UNTRAINED),
        (talk("11", ""), UNTRAINED),
        (talk("11", " \n"), UNTRAINED),
        ({"id": "d", "text": " \n"}, "a document without text"),
    ],
)
def test_what_teaches_nothing_is_left_out_and_counted(tokenizer: Any, record: Record, reason: str) -> None:
    assert outcome(tokenizer, record) == ([], [reason])


def test_a_weight_of_a_whole_conversation_holds_where_all_turns_are_trained_too(tokenizer: Any) -> None:
    assert outcome(tokenizer, talk("11", "22", weight=0), loss="all") == ([], [UNTRAINED])
    assert outcome(tokenizer, talk("11", "22", weight=1, train=True, loss=2.5)) == (["22</s>"], [])


def test_an_empty_answer_among_others_is_not_trained_and_told(tokenizer: Any) -> None:
    pieces = tokenise_records([talk("11", "", "33", "44")], tokenizer, TokenisingSettings(99))
    assert outcome(tokenizer, talk("11", "", "33", "44")) == (["44</s>"], [])
    assert pieces.remarks == {"an empty answer is not trained": 1}


def test_a_conversation_that_is_cut_before_its_only_trained_answer_is_too_long(tokenizer: Any) -> None:
    """Of many only the last answer counts, and what is left of it would be a row without any target."""
    long = with_field("weight", 0)
    long["messages"][3]["content"] = "4" * 50
    assert outcome(tokenizer, long, length=20) == ([], ["longer than the sequence"])
    del long["messages"][1]["weight"]
    assert outcome(tokenizer, long, length=20) == (["22</s>"], [])
