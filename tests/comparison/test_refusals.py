"""What `latxa compare` refuses: one line says what differs, and `--despite` compares all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from answers import Compare, answer, answers
from tiny import write_jsonl


def both(folder: Path, **more: Any) -> None:
    """Write the answers of `base`, and of `ours` with something else in each."""
    write_jsonl(folder / "both.jsonl", answers("base", 0.5, count=20) + answers("ours", 0.5, count=20, **more))


OTHERWISE = {
    "prompts": ({"prompt": "Where?"}, "`towns`: 20 items have another prompt for `ours` than for `base` (`i0`)"),
    "shots": ({"num_fewshot": 5}, "`towns`: `ours` was asked with 5 examples, `base` with 0 examples"),
    "chat": ({"chat": True}, "`towns`: `ours` was asked with its chat template on, `base` with its chat template off"),
    "format": ({"format": "cloze"}, "was asked with the format `cloze`, `base` with the format `mcqa`"),
}


@pytest.mark.parametrize("word", OTHERWISE)
def test_what_was_asked_otherwise(compare: Compare, folder: Path, word: str) -> None:
    more, message = OTHERWISE[word]
    usual = {"num_fewshot": 0, "chat": False, "format": "mcqa"}
    first = answers("base", 0.5, count=20, **usual)
    write_jsonl(folder / "both.jsonl", first + answers("ours", 0.5, count=20, **(usual | more)))
    said = compare("both.jsonl", "--baseline", "base").error
    assert message in said and f"hint: `--despite {word}` compares them all the same" in said
    [row] = compare("both.jsonl", "--baseline", "base", "--despite", word).rows
    assert row["despite"] == [word] and row["n"] == 20
    table = compare("both.jsonl", "--baseline", "base", "--despite", word, "--format", "table").out
    assert f"the two were not asked alike: {word}" in table


@pytest.mark.parametrize(("field", "what"), [("target", "another right answer"), ("choices", "other choices")])
def test_other_items_are_never_compared(compare: Compare, folder: Path, field: str, what: str) -> None:
    both(folder, **{field: ["left", "right"]})
    for flags in ((), ("--despite", "items", "--despite", "prompts")):
        assert f"`towns`: 20 items have {what} for `ours`" in compare("both.jsonl", "--baseline", "base", *flags).error


def test_items_of_one_model_alone(compare: Compare, folder: Path) -> None:
    records = answers("base", 0.5, count=20) + answers("ours", 0.5, count=25)[2:]
    write_jsonl(folder / "both.jsonl", [*records, *answers("base", 0.5, task="ports", count=4)])
    said = compare("both.jsonl", "--baseline", "base").error
    assert "`towns`: 18 items are in both, 5 in `ours` alone and 2 in `base` alone" in said
    ended = compare("both.jsonl", "--baseline", "base", "--despite", "items")
    [row] = ended.rows
    assert (row["n"], row["left_out"], row["despite"]) == (18, 7, ["items"])
    assert "`ports`, `ours` and `base`: 4 items that one of them was not asked are left out" in ended.said


def test_a_task_of_one_model_alone(compare: Compare, folder: Path) -> None:
    write_jsonl(folder / "more.jsonl", answers("ours", 0.5, task="ports", count=4))
    both(folder)
    said = compare("both.jsonl", "more.jsonl", "--baseline", "base").error
    assert "`base` has no `correct` of `ports`" in said and "--despite items" in said


def test_names_that_are_not_there(compare: Compare) -> None:
    said = compare("two.jsonl", "--baseline", "bas").error
    assert "`--baseline bas`: there are no answers of this model hint: did you mean `base`" in said
    said = compare("two.jsonl", "--baseline", "base", "--model", "our").error
    assert "`--model our`: there are no answers of this model hint: did you mean `ours`?" in said
    said = compare("two.jsonl", "--baseline", "base", "--filter", "nine").error
    assert "`--filter nine`: no answers went through this filter" in said
    said = compare("two.jsonl", "--baseline", "base", "--metric", "acc_norm").error
    assert "`--metric acc_norm`: no answer has this metric" in said


def test_items_without_an_answer_are_left_out_and_counted(compare: Compare, folder: Path) -> None:
    mine, theirs = answers("ours", 1.0, count=20), answers("base", 0.0, count=20)
    for record in (*mine[:3], *theirs[2:4]):
        record |= {"correct": None, "value": None, "outcome": "refused"}
    write_jsonl(folder / "both.jsonl", mine + theirs)
    ended = compare("both.jsonl", "--baseline", "base")
    [row] = ended.rows
    assert (row["n"], row["unanswered"], row["baseline_unanswered"]) == (16, 3, 2)
    assert "items without an answer of one of them are left out" in ended.said


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            [answer("a", "i", True), answer("a", "i", False), answer("b", "i", True)],
            "answers the item `i` of `towns` twice",
        ),
        ([answer("a", "i", True)], "there are no answers of a model beside `a`"),
        (
            [answer(model, "i", None, value=1, metrics={"f1": "high"}) for model in "ab"],
            "the metric `f1` is not a number",
        ),
        (
            [answer("a", "i", True), answer("b", "i", True, chat=True), answer("b", "j", True)],
            "in two ways: `chat` is True",
        ),
        (
            [{"model": "a", "task": "t", "metric": "acc", "value": 0.5, "n": 3}],
            "both.jsonl:1: this is the result of a task",
        ),
        ([answer(model, "i", None, value=None) for model in "ab"], "no answer has a score"),
    ],
)
def test_answers_that_cannot_be_compared(compare: Compare, folder: Path, records: list[Any], message: str) -> None:
    write_jsonl(folder / "both.jsonl", records)
    flags = ("--metric", "f1") if "f1" in message else ()
    assert message in compare("both.jsonl", "--baseline", "a", *flags).error


def test_a_name_for_a_file_of_several_models(compare: Compare) -> None:
    said = compare("x=two.jsonl", "--baseline", "x").error
    assert "two.jsonl: holds answers of several models (`base`, `ours`)" in said


def test_files_that_are_not_there(compare: Compare, folder: Path) -> None:
    assert "none.jsonl: no such file" in compare("none.jsonl", "--baseline", "base").error
    assert "`two.jsonl` is named twice" in compare("two.jsonl", "./two.jsonl", "--baseline", "base").error.replace(
        "./", ""
    )
    (folder / "empty").mkdir()
    assert "there is no file `samples_*.jsonl` in this folder" in compare("empty", "--baseline", "base").error
    assert "`=two.jsonl` has no name" in compare("=two.jsonl", "--baseline", "base").error


@pytest.mark.parametrize(
    ("more", "flags", "message"),
    [
        ({}, ("--cluster", "text"), "`--cluster text`: no answer has this field"),
        ({"value": 1e300, "correct": None}, (), "item `i0`: the metric `value` is more than 1e+100"),
    ],
)
def test_more_that_cannot_be_compared(compare: Compare, folder: Path, more: Any, flags: Any, message: str) -> None:
    records = [record | more for model in ("a", "b") for record in answers(model, 0.5, count=4)]
    write_jsonl(folder / "both.jsonl", records)
    assert message in compare("both.jsonl", "--baseline", "a", *flags).error


def test_no_item_in_common(compare: Compare, folder: Path) -> None:
    records = [answer(model, f"{model}{n}", True) for model in ("a", "b") for n in range(3)]
    write_jsonl(folder / "both.jsonl", records)
    for flags in ((), ("--despite", "items")):
        said = compare("both.jsonl", "--baseline", "a", *flags).error
        assert "`towns`: `b` and `a` have no item in common hint: the `id` of an answer names its item" in said


def test_one_cluster_tells_nothing_of_the_error(compare: Compare, folder: Path) -> None:
    records = answers("a", 0.3, count=40, cluster="text") + answers("b", 0.9, count=40, cluster="text")
    write_jsonl(folder / "both.jsonl", records)
    for flags in ((), ("--interval", "bootstrap")):
        ended = compare("both.jsonl", "--baseline", "a", *flags)
        [row] = ended.rows
        assert (row["stderr"], row["lower"], row["upper"], row["p"]) == (None, None, None, 1)
        assert "all items are one cluster" in ended.said
    assert compare("both.jsonl", "--baseline", "a", "--cluster", "item").rows[0]["verdict"] == "better"


def test_texts_without_bytes_weigh_the_same(compare: Compare, folder: Path) -> None:
    values = {("a", n): 1.5 + n / 10 for n in range(3)} | {("b", n): 1.0 + n / 10 for n in range(3)}
    records = [
        {"id": f"t{n}", "task": "eu", "model": model, "value": value, "metrics": {"bits_per_byte": value}}
        for (model, n), value in values.items()
    ]
    write_jsonl(folder / "both.jsonl", [record | {"bytes": 10 * (n % 3)} for n, record in enumerate(records)])
    [row] = compare("both.jsonl", "--baseline", "a").rows
    assert (row["metric"], row["difference"]) == ("bits_per_byte", pytest.approx(-0.5))
