"""The kinds of records: what each must hold, what it may hold, and how several are told apart."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from latxa_cli.stream.checks import checker
from latxa_cli.stream.fields import MESSAGES, VERDICT, Field
from latxa_cli.stream.kinds import KINDS

USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
SOUND = {
    "document": {"text": "a"},
    "conversation": {"messages": [USER, ASSISTANT]},
    "prompt": {"prompt": "a"},
    "response": {"messages": [USER, ASSISTANT], "model": "m"},
    "pair": {"source": "a", "target": "b"},
    "record": {},
    "battle": {"model_a": "m", "model_b": "n", "winner": "tie (bothbad)"},
    "proposal": {"model_a": "m", "model_b": "n"},
    "score": {"rubric": "curate", "scores": {"level": 3}},
    "rating": {"model": "m", "rating": 1000},
    "difference": {"model": "m"},
    "finding": {"finding": "position bias"},
    "correlation": {"benchmark": "t"},
    "result": {"model": "m", "task": "t", "metric": "acc", "value": 0.5},
    "answer": {"task": "t", "model": "m", "correct": True},
    "sample": {"doc_id": 3},
    "comparison": {
        "model": "m",
        "baseline": "b",
        "metric": "acc",
        "value": 0.7,
        "baseline_value": 0.2,
        "difference": 0.5,
    },
    "change": {"task": "t", "model": "m", "baseline": "b", "direction": "better"},
    "metrics": {"step": 1, "loss": 2.5},
    "manifest": {"verb": "mix", "version": "0.1.0"},
}  # fmt: skip
VALUES = {"a string": "x", "a number": 1.5, "a boolean": True, "an object": {"a": 1}, "an array": ["a"]}
OPTIONAL = [(name, field) for name, kind in KINDS.items() for field in kind.optional]


def ids(entry: object) -> str:
    return getattr(entry, "name", str(entry))


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_each_kind_passes_and_lacks_nothing(kind: str) -> None:
    checker(kind)(dict(SOUND[kind]))
    for name in SOUND[kind]:
        lacking = {field: value for field, value in SOUND[kind].items() if field != name}
        with pytest.raises(ValueError, match=name):
            checker(kind)(lacking)
        if kind != "answer" or name != "correct":  # of which nothing may be known
            with pytest.raises(ValueError):
                checker(kind)(SOUND[kind] | {name: None})


@pytest.mark.parametrize("kind", KINDS)
def test_a_required_field_holds_its_type_alone(kind: str) -> None:
    for field in KINDS[kind].required:
        for value in VALUES.values():
            record = SOUND[kind] | {field.name: value}
            if type(value) in field.type.types and field.type != MESSAGES:
                checker(kind)(record)
            else:
                with pytest.raises(ValueError):
                    checker(kind)(record)


@pytest.mark.parametrize(("kind", "field"), OPTIONAL, ids=ids)
def test_an_optional_field_holds_its_type_or_null(kind: str, field: Field) -> None:
    if field.name in SOUND[kind] or field.type in (MESSAGES, VERDICT) or field.name == "infinite":
        return  # about which there are rules: see below
    for said, value in VALUES.items():
        record = SOUND[kind] | {field.name: value}
        if type(value) in field.type.types:
            checker(kind)(record)
        else:
            with pytest.raises(ValueError, match=f"^`{field.name}` is {said}, not {field.type.name}$"):
                checker(kind)(record)
    checker(kind)(SOUND[kind] | {field.name: None})


def test_fields_that_no_kind_names_hold_anything() -> None:
    for kind in KINDS:
        for value in (*VALUES.values(), None):
            checker(kind)(SOUND[kind] | {"another": value})


def test_every_kind_says_what_it_is_and_names_each_field_once() -> None:
    for name, kind in KINDS.items():
        fields = [field.name for field in kind.fields]
        assert len(fields) == len(set(fields)), name
        assert kind.title.endswith(".") and all(field.says for field in kind.fields)
        assert bool(kind.rule_says) <= bool(kind.rule)
    marks = [kind.mark for kind in KINDS.values() if kind.mark]
    assert len(marks) == len(set(marks))


@pytest.mark.parametrize("winner", ["model_a", "model_b", "tie", "tie (bothbad)", "left", None])
def test_a_battle_may_be_judged_by_content_or_language_alone(winner: str | None) -> None:
    def passes(**more: str | None) -> bool:
        try:
            checker("battle")({"model_a": "m", "model_b": "n", "winner": winner, **more})
        except ValueError:
            return False
        return True

    is_verdict = winner in ("model_a", "model_b", "tie", "tie (bothbad)")
    assert passes() == is_verdict
    for side in ("winner_content", "winner_language"):
        assert passes(**{side: "tie"}) == (is_verdict or winner is None)
        assert passes(**{side: None}) == is_verdict


@pytest.mark.parametrize("place", range(3))
def test_every_message_is_looked_at(place: int) -> None:
    for broken in ("hi", {"role": "robot", "content": "a"}, {"role": "user", "content": 1}, {"role": "user"}, {}):
        messages: list[Any] = [USER, ASSISTANT, USER]
        messages[place] = broken
        with pytest.raises(ValueError):
            checker("conversation")({"messages": messages})


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("prompt", {"messages": [USER, ASSISTANT]}),
        ("response", {"messages": [ASSISTANT, USER], "model": "m"}),
        ("battle", {"model_a": "m", "model_b": "n", "winner": "both"}),
        ("rating", {"model": "m", "rating": True}),
        ("rating", {"model": "m", "rating": None, "infinite": "far"}),
        ("rating", {"model": "m", "rating": 1000, "lower": "990"}),
        ("result", {"model": "m", "task": "t", "metric": "acc", "value": "0.5"}),
        ("metrics", {"step": 1, "loss": 2.5, "validation": 1}),
        ("conversation", {"messages": [{"role": ["user"], "content": "a"}]}),
        ("conversation", {"messages": ["hi"]}),
        ("conversation", {"messages": [USER], "source": ["a"]}),
        ("prompt", {"messages": None, "prompt": "a"}),
        ("prompt", {"prompt": None}),
        ("prompt", {"messages": [USER], "prompt": 3}),
        ("rating", {"model": "m", "rating": 1000, "criterion": ["x"]}),
        ("rating", {"model": "m", "rating": None, "infinite": ["above"]}),
        ("result", {"model": "m", "task": "t", "metric": "acc", "value": 0.5, "filter": ["none"]}),
        ("result", {"model": "m", "task": "t", "metric": "acc", "value": 0.5, "stderr": "N/A"}),
        ("answer", {"task": "t", "model": "m"}),
        ("answer", {"task": "t", "model": "m", "value": 0.5}),
    ],
)
def test_what_is_nearly_right_is_refused(kind: str, record: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        checker(kind)(record)


def test_what_is_infinite_in_a_rating_is_null() -> None:
    checker("rating")({"model": "m", "rating": None, "infinite": "above", "lower": 1100.5, "upper": None})
    checker("rating")({"model": "m", "rating": 1000, "lower": None, "upper": 1010})


def test_several_kinds_are_told_apart_by_their_fields() -> None:
    check = checker(("document", "conversation"))
    check({"text": "a"})
    check({"messages": [USER]})
    for wrong in ({"text": 1}, {"messages": []}, {}):
        with pytest.raises(ValueError):
            check(wrong)


def test_a_table_may_have_dates_of_its_own() -> None:
    checker("document")({"text": "a", "created": datetime(2024, 1, 1)})
