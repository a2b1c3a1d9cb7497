from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from latxa_cli.mixing.mix import Shares, choose, mix, parse_inputs
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record, Reject
from latxa_cli.variants import parse

FILES = {"corpus": "c.jsonl", "cy": "y.jsonl", "en": "e.jsonl"}


def documents(*names: str, **fields: Any) -> list[Record]:
    return [{"id": name, "text": f"text of {name}", **fields} for name in names]


def conversation(name: str, *contents: str) -> Record:
    roles = ("user", "assistant") * len(contents)
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    return {"id": name, "messages": messages}


def keys(outcomes: Iterable[Record | Reject]) -> list[tuple[str, str]]:
    return [(outcome["source"], outcome["id"]) for outcome in outcomes if isinstance(outcome, dict)]


# --- names -----------------------------------------------------------------------------------------------------------


def test_inputs_by_name() -> None:
    assert parse_inputs(["corpus=eu.jsonl", "en=-", "cy=a=b.jsonl"]) == {
        "corpus": "eu.jsonl", "en": "-", "cy": "a=b.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eu.jsonl"], "`eu.jsonl` is not `NAME=FILE`"),
        (["=eu.jsonl"], "is not `NAME=FILE`"),
        (["eu="], "is not `NAME=FILE`"),
        (["./a=b.jsonl"], "is not `NAME=FILE`"),
        (["a/b=c.jsonl"], "is not `NAME=FILE`"),
        (["en=a", "en=b"], "two inputs are named `en`"),
        (["en=-", "eu=-"], "stdin"),
        ([], "nothing to mix"),
    ],
)
def test_wrong_inputs(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_inputs(arguments)
    assert message in error.value.message


@pytest.mark.parametrize(
    ("code", "chosen", "left_out"),
    [
        ("exp_2_111", ["corpus", "cy", "en"], []),
        ("exp_2_101", ["corpus", "en"], ["cy"]),
        ("exp_0_010", ["cy"], ["corpus", "en"]),
        ("exp_1_001", ["en"], ["corpus", "cy"]),
    ],
)
def test_variant_takes_the_inputs_that_it_names(code: str, chosen: list[str], left_out: list[str]) -> None:
    taken, rest = choose(FILES, parse(code))
    assert taken == {name: FILES[name] for name in chosen}
    assert rest == left_out


@pytest.mark.parametrize(
    ("missing", "message"), [("corpus", "`corpus=FILE`"), ("cy", "target language"), ("en", "`en=FILE`")]
)
def test_missing_input_is_named(missing: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        choose({name: file for name, file in FILES.items() if name != missing}, parse("exp_2_111"))
    assert message in error.value.message


def test_one_target_language_at_a_time() -> None:
    with pytest.raises(UsageError, match="`cy` and `ga`"):
        choose(FILES | {"ga": "g.jsonl"}, parse("exp_2_111"))


def test_the_untouched_backbone_has_nothing_to_mix() -> None:
    with pytest.raises(UsageError, match="nothing to mix"):
        choose(FILES, parse("exp_2_000"))


# --- the mix ---------------------------------------------------------------------------------------------------------


def test_source_is_the_name_before_what_was_there() -> None:
    sources = {"corpus": documents("1", source="web/2024") + documents("2"), "en": [conversation("1", "Hi", "Hello")]}
    assert sorted(keys(mix(sources, 0))) == [("corpus", "2"), ("corpus/web/2024", "1"), ("en", "1")]


def test_records_are_otherwise_untouched() -> None:
    record = {"id": "1", "messages": [{"role": "user", "content": "Hi"}], "task": "t", "metadata": {"a": 1}}
    before = dict(record)
    assert list(mix({"en": [record]}, 0)) == [{**record, "source": "en"}]
    assert record == before


def test_the_key_is_source_and_id() -> None:
    sources = {"cy": documents("1", "2", "1"), "en": documents("1", source="a") + documents("1", source="b")}
    outcomes = list(mix(sources, 0))
    rejects = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
    assert [(reject.reason, reject.detail) for reject in rejects] == [("duplicate id", "cy: 1")]
    assert sorted(keys(outcomes)) == [("cy", "1"), ("cy", "2"), ("en/a", "1"), ("en/b", "1")]


def test_order_depends_on_seed_and_keys_alone() -> None:
    corpus, english = documents(*map(str, range(50))), documents(*map(str, range(30)))
    one = list(mix({"corpus": corpus, "en": english}, 33))
    assert one == list(mix({"en": english[::-1], "corpus": corpus[20:] + corpus[:20]}, 33))
    assert keys(one) != keys(mix({"corpus": corpus, "en": english}, 34))
    assert keys(one) != sorted(keys(one))


def test_take_draws_nested_subsets_in_the_order_of_the_whole() -> None:
    sources = {"corpus": documents(*map(str, range(60))), "en": documents(*map(str, range(40)))}
    whole, larger, smaller = (keys(mix(sources, 1, take)) for take in (None, 30, 10))
    assert len(smaller) == 10 and len(larger) == 30
    assert larger == [key for key in whole if key in set(larger)]
    assert smaller == [key for key in larger if key in set(smaller)]
    assert keys(mix(sources, 1, 1000)) == whole


def test_nothing_is_read_before_the_first_outcome_is_asked_for() -> None:
    def forbidden() -> Iterator[Record]:
        raise AssertionError("read too early")
        yield {}

    mix({"corpus": forbidden()}, 0)


# --- shares ----------------------------------------------------------------------------------------------------------


def test_shares_count_what_was_kept() -> None:
    sources: dict[str, list[Record]] = {
        "corpus": [{"id": "1", "text": "bat bi hiru ñ"}, {"id": "1", "text": "twice"}],
        "en": [conversation("1", "one two", "three")],
        "cy": [],
    }
    shares = Shares(sources, lambda texts: [len(text) for text in texts])
    outcomes = list(shares.counted(mix(sources, 0)))
    assert len(outcomes) == 3
    found = shares.as_dict()
    assert found["corpus"] == {
        "records": 1, "bytes": 14, "words": 4, "tokens": 13,
        "share": {"records": 0.5, "bytes": 0.5185, "words": 0.5714, "tokens": 0.5},
    }  # fmt: skip
    assert {name: found["en"][name] for name in ("bytes", "words", "tokens")} == {"bytes": 13, "words": 3, "tokens": 13}
    assert found["cy"]["records"] == 0 and found["cy"]["share"]["records"] == 0.0
    assert shares.lines()[0] == "corpus: 1 records (50.0%), 14 bytes (51.9%), 4 words (57.1%), 13 tokens (50.0%)"


def test_shares_without_tokenizer_say_nothing_of_tokens() -> None:
    shares = Shares(["corpus"])
    records = documents(*map(str, range(1000)), source="corpus/web")
    assert list(shares.counted(records)) == records
    assert shares.as_dict() == {
        "corpus": {
            "records": 1000, "bytes": 10 * 9 + 90 * 10 + 900 * 11, "words": 3000,
            "share": {"records": 1.0, "bytes": 1.0, "words": 1.0},
        }
    }  # fmt: skip


def test_shares_of_nothing() -> None:
    shares = Shares(["corpus"])
    assert list(shares.counted([])) == []
    assert shares.lines() == ["corpus: 0 records (0.0%), 0 bytes (0.0%), 0 words (0.0%)"]
