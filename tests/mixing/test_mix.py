"""Whole mixes: the same in memory and by files, with kernels and without, and as the plain reference says."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import reference
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixing_world import Made, Record, conversation, document, documents, mix, parsed, write
from spellings import lines

from latxa_cli.mixing import memory, tokens
from latxa_cli.mixing.files import WORKER_BYTES
from latxa_cli.mixing.inputs import InputFlags
from latxa_cli.mixing.options import MixOptions
from latxa_cli.stages import Work, cores
from latxa_cli.stream.cutting import PART_BYTES, Part
from latxa_cli.stream.errors import LatxaError, RecordError, UsageError
from latxa_cli.stream.inputs import LONGEST_LINE

FEW = 4000  # bytes: with so little memory, everything is done in many rounds and buckets
WAYS: dict[str, dict[str, Any]] = {
    "in memory": {},
    "in memory, by kernel": {"kernel": True},
    "in memory, by kernel, in parts": {"kernel": True, "part_bytes": 700, "workers": 3},
    "by files": {"in_memory": False, "part_bytes": 700},
    "by files, with little memory": {"in_memory": False, "part_bytes": 5000, "memory": FEW},
}


def made(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> Made:
    given = WAYS[way] | options
    if given.pop("kernel", False):
        monkeypatch.setattr(memory, "SMALL", 0)
    return mix(folder, *arguments, **given)


def world() -> dict[str, list[Record]]:
    """Three inputs with all that can be in one: sources, repeated content, records that come twice, numbers as ids."""
    corpus: list[Record] = documents(*map(str, range(60)), source="web") + documents(*map(str, range(40, 70)))
    corpus += [
        document("5", source="web"),
        {"text": "no id"},
        {"text": "no id"},
        document("61"),
        {"id": 62, "text": "x"},
    ]
    corpus += [{"text": "no id", "metadata": {"n": 3}}, {"text": "no id", "source": "web"}]
    english = [conversation(str(n), f"question {n} é\n", "answer", task="t", metadata={"n": n}) for n in range(50)]
    welsh = [record | {"metadata": {}} for record in english[:20]] + [document("a\u2028", source="ü")]
    return {"corpus": corpus, "en": english, "cy": welsh}


# --- the same, however it is made ------------------------------------------------------------------------------------

DEMANDS: dict[str, tuple[InputFlags, dict[str, Any], dict[str, Any]]] = {
    "all": (InputFlags(), {}, {}),
    "weights": (
        InputFlags(weight=["corpus=2.5", "en=0.25", "cy=3"]), {}, {"weights": {"corpus": 2.5, "en": 0.25, "cy": 3.0}}
    ),
    "held out": (
        InputFlags(hold_out=["en=7", "corpus=3"], weight=["en=2"]), {},
        {"hold_out": {"en": 7, "corpus": 3}, "weights": {"en": 2.0}},
    ),
    "held out, contents that repeat": (
        InputFlags(hold_out=["corpus=60"]), {"seed": 2}, {"hold_out": {"corpus": 60}, "seed": 2}
    ),
    "subsets": (
        InputFlags(take_from=["corpus=11", "cy=500"], weight=["corpus=1.5"]), {"seed": 33},
        {"take_from": {"corpus": 11, "cy": 500}, "weights": {"corpus": 1.5}, "seed": 33},
    ),
    "some": (
        InputFlags(weight=["cy=2"]), {"take": 31, "seed": 2**64 - 1},
        {"take": 31, "weights": {"cy": 2.0}, "seed": 2**64 - 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", DEMANDS)
def test_a_mix_is_what_the_reference_says(way: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    input_flags, options, demands = DEMANDS[what]
    found = made(tmp_path, way, monkeypatch, world(), input_flags=input_flags, **options)
    expected, held, duplicates = reference.mix(world(), **demands)
    assert found.data == b"".join(orjson.dumps(record) + b"\n" for record in expected)
    assert found.held == held
    assert [entry["detail"] for entry in found.rejects] == duplicates
    assert Counter(entry["reason"] for entry in found.rejects) == {"duplicate": 2}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(lines(), max_size=12), part_bytes=st.integers(1, 200))
def test_any_lines_give_the_same_mix_in_every_way(
    some: Sequence[bytes], part_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("mix")
    given = {"a": some, "b": some[::2]}
    input_flags = InputFlags(weight=["a=1.5"])
    first = mix(folder, given, input_flags=input_flags)
    by_files = mix(folder, given, input_flags=input_flags, in_memory=False, part_bytes=part_bytes, memory=FEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "SMALL", 0)
        by_kernel = mix(folder, given, input_flags=input_flags, part_bytes=part_bytes, workers=2)
    for other in (by_files, by_kernel):
        assert _same(first.data, other.data)
        assert [entry["reason"] for entry in other.rejects] == [entry["reason"] for entry in first.rejects]
        assert other.mix.shares.as_dict() == first.mix.shares.as_dict()


def _same(one: bytes, other: bytes) -> bool:
    """Whether two mixes hold equal records in one order; numbers may be spelled in different ways."""
    return parsed(one) == parsed(other)


def test_workers_change_nothing(tmp_path: Path) -> None:
    one = mix(tmp_path, world(), in_memory=False, part_bytes=2000)
    two = mix(tmp_path, world(), in_memory=False, part_bytes=2000, workers=2)
    assert (two.data, two.rejects) == (one.data, one.rejects)


def test_packed_inputs_give_the_same_mix(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.jsonl", world()["corpus"])
    expected = mix(tmp_path, {"corpus": plain})
    for ending, pack in ((".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress)):
        packed = tmp_path / f"packed.jsonl{ending}"
        packed.write_bytes(pack(plain.read_bytes()))
        for in_memory in (True, False):
            assert mix(tmp_path, {"corpus": packed}, in_memory=in_memory).data == expected.data


def test_a_file_without_a_last_line_break_and_one_that_fills_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are mapped: what is behind their ends must not be taken for a part of them."""
    monkeypatch.setattr(memory, "SMALL", 0)
    for size in (4096 - 65, 4096 - 63, 4096 - 1, 4096, 4096 + 1):
        for end in (b"", b"\n"):
            path = tmp_path / f"{size}-{len(end)}.jsonl"
            line = orjson.dumps(document("1", more=""))
            path.write_bytes(line[:-2] + b"x" * (size - len(line) - len(end)) + line[-2:] + end)
            assert path.stat().st_size == size
            assert len(mix(tmp_path, {"docs": path}).records[0]["more"]) == size - len(line) - len(end)


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_source_is_the_name_before_what_was_there(tmp_path: Path) -> None:
    sources = {"corpus": documents("1", source="web/2024") + documents("2"), "en": [conversation("1", "Hi", "Hello")]}
    assert sorted(mix(tmp_path, sources).keys) == [("corpus", "2"), ("corpus/web/2024", "1"), ("en", "1")]


@pytest.mark.parametrize("way", WAYS)
def test_duplicates_are_set_aside_as_they_came(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [document("1", n=1), document("1", n=2), document("1", source="s"), {"id": 1, "text": "y", "source": "s"}]
    records += [document("1", source="s", n=3), records[3] | {"n": 4}]
    found = made(tmp_path, way, monkeypatch, {"docs": records})
    assert [(entry["reason"], entry["detail"]) for entry in found.rejects] == [
        ("duplicate", "docs: 1"), ("duplicate", "docs/s: 1"), ("duplicate", "docs/s: 1"),
    ]  # fmt: skip
    first, second, third = (entry["record"] for entry in found.rejects)
    assert (first, second) == (records[1], records[4])
    assert (third["id"], third["text"], third["source"], third["n"]) == ("1", "y", "s", 4)


@pytest.mark.parametrize("way", WAYS)
def test_malformed_lines_stop_the_run_or_are_set_aside(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path / "in.jsonl", [*documents(*map(str, range(30))), b"", b"broken", document("x"), b'{"id":"y"}']
    )
    with pytest.raises(RecordError) as error:
        made(tmp_path, way, monkeypatch, {"docs": path}, set_aside=False)
    assert error.value.message.startswith(f"{path}:32: not JSON")
    found = made(tmp_path, way, monkeypatch, {"docs": path})
    assert [(entry["reason"], entry["where"]) for entry in found.rejects] == [
        ("malformed", f"{path}:32"), ("malformed", f"{path}:34"),
    ]  # fmt: skip
    assert (found.mix.read, len(found.records)) == (33, 31)


def test_rejects_are_counted_when_nobody_wants_them(tmp_path: Path) -> None:
    records = [document(name, metadata={"scores": {"a": len(name)}}) for name in (*"aaabb", "cc", "dd", "cc")]
    input_flags = InputFlags(minimum=["poor=2"])
    for in_memory in (True, False):
        for part_bytes in (200, 1 << 20):
            given = {"docs": records, "poor": records}
            found = mix(
                tmp_path, given, in_memory=in_memory, part_bytes=part_bytes, set_aside=False, input_flags=input_flags
            )
            assert found.counts == {"": 4 + 2, "duplicate": 4 + 1, "low score": 5}
            assert found.mix.read == 16


@pytest.mark.parametrize("way", WAYS)
def test_rejects_say_why(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"id": "a", "metadata": {"epoch": 2, "scores": {"x": 1.5}}, "text": "A", "source": "s"}
    given = {"docs": [record, record, b'{"broken": "and long"'], "poor": [record]}
    found = made(tmp_path, way, monkeypatch, given, input_flags=InputFlags(minimum=["poor=2"]))
    assert [(entry["reason"], entry["detail"]) for entry in found.rejects if "record" in entry] == [
        ("duplicate", "docs/s: a, epoch 2"), ("low score", "1.5 is less than 2"),
    ]  # fmt: skip
    assert [entry["record"] for entry in found.rejects if "record" in entry] == [record, record]
    assert [entry["line"] for entry in found.rejects if "line" in entry] == ['{"broken": "and long"']


@pytest.mark.parametrize("way", WAYS)
def test_records_are_asked_in_a_language_if_their_scores_are_high_enough(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = write(tmp_path / "scores.jsonl", [{"id": str(n), "scores": {"a": n}} for n in range(4)])
    english = [conversation(str(n), "Hi", "Kaixo") for n in range(5)] + [document("2", source="s")]
    input_flags = InputFlags(minimum=["eu=2"], answer_in=["eu=Basque"])
    found = made(
        tmp_path, way, monkeypatch, {"eu": english, "en": english}, input_flags=input_flags, scores=str(scores)
    )
    assert sorted(key for key in found.keys if key[0] == "eu") == [("eu", "2"), ("eu", "3")]
    assert Counter(entry["reason"] for entry in found.rejects) == {"low score": 2, "no score": 1, "no user turn": 1}
    asked = [record["messages"][0]["content"] for record in found.records if record["source"] == "eu"]
    assert asked == ["Hi Answer in Basque."] * 2
    assert sum(record["source"].startswith("en") for record in found.records) == 6


def test_lines_of_monstrous_length_are_malformed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("stream.reader", "stream.cutting", "mixing.lines", "mixing.rows"):
        monkeypatch.setattr(f"latxa_cli.{module}.LONGEST_LINE", 1000)
    monkeypatch.setattr("latxa_cli.stream.cutting.PART_BYTES", 500)
    for length in (970, 5000):  # the part is read as a whole, or line by line
        given = {"docs": [document("1"), document("long", more="x" * length), document("2")]}
        for in_memory in (True, False):
            found = mix(tmp_path, given, in_memory=in_memory, part_bytes=500)
            assert sorted(found.keys) == [("docs", "1"), ("docs", "2")]
            assert "the line is longer than" in found.rejects[0]["detail"]


# --- shares ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_shares_say_what_each_input_gave(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {
        "corpus": [
            {"id": "1", "text": "bat bi hiru ñ"}, {"id": "1", "text": "bat bi hiru ñ", "n": 2},
            {"id": "2", "text": "x", "metadata": {"split": "test"}},
        ],
        "en": [conversation("1", "one two", "three")],
        "cy": [],
    }  # fmt: skip
    found = made(tmp_path, way, monkeypatch, inputs, input_flags=InputFlags(weight=["en=2"]))
    assert found.mix.shares.as_dict() == {
        "corpus": {
            "records": 1, "bytes": 14, "words": 4,
            "share": {"records": 0.3333, "bytes": 0.35, "words": 0.4}, "other split": 1,
        },
        "en": {
            "records": 2, "bytes": 26, "words": 6, "share": {"records": 0.6667, "bytes": 0.65, "words": 0.6},
            "weight": 2.0, "copies": 1,
        },
        "cy": {"records": 0, "bytes": 0, "words": 0, "share": {"records": 0.0, "bytes": 0.0, "words": 0.0}},
    }  # fmt: skip
    assert next(iter(found.mix.shares.lines())) == (
        "corpus: 1 records (33.3%), 14 bytes (35.0%), 4 words (40.0%); 1 other split"
    )
    assert found.mix.shares.totals() == {"other split": 1, "copies": 1}


def test_what_is_not_taken_adds_up(tmp_path: Path) -> None:
    input_flags = InputFlags(weight=["corpus=0.5", "en=2"], hold_out=["en=10"])
    found = mix(tmp_path, world(), input_flags=input_flags, take=60)
    shares = found.mix.shares
    left = {name: shares.total(name) for name in ("not taken", "held out", "copies")}
    assert left["held out"] == len(found.held) == 10
    assert shares.total("records") == len(found.records) == 60
    distinct = {(record["source"], record["id"]) for record in found.records}
    assert len(distinct) == 60 - left["copies"]
    assert found.mix.read == len(distinct) + len(found.rejects) + left["held out"] + left["not taken"]


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder whose tokenizer makes each word, or run of signs, a token; texts begin with one more."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("tokenizer")
    words = Tokenizer(models.WordLevel({"?": 0, "<s>": 1}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return str(folder)


@pytest.mark.parametrize("way", ["in memory, by kernel, in parts", "by files"])
def test_tokens_are_counted_and_can_be_a_budget(
    way: str, tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latxa_cli.mixing.tokens.BATCH", 7)
    inputs = {"docs": documents(*map(str, range(60))), "en": [conversation("1", "one two", "three, four")]}
    whole = made(tmp_path, way, monkeypatch, inputs, tokenizer=tokenizer).mix.shares.as_dict()
    assert (whole["docs"]["tokens"], whole["en"]["tokens"]) == (180, 5)  # `text of 7`; the comma is one
    assert (whole["docs"]["tokens_per_word"], whole["en"]["tokens_per_word"]) == (1, 1.25)
    assert whole["en"]["bytes_per_token"] == whole["en"]["bytes"] / 5
    few, more = (
        made(
            tmp_path,
            way,
            monkeypatch,
            inputs,
            tokenizer=tokenizer,
            take_tokens=count,
            input_flags=InputFlags(weight=["docs=2"]),
        )
        for count in (50, 120)
    )
    assert 46 <= few.mix.shares.total("tokens") <= 50 and 116 <= more.mix.shares.total("tokens") <= 120
    lines = [set(made.data.split(b"\n")[:-1]) for made in (few, more)]
    assert lines[0] < lines[1]
    taken = made(tmp_path, way, monkeypatch, inputs, tokenizer=tokenizer, take=10).mix.shares
    assert taken.total("records") == 10 and 30 <= taken.total("tokens") <= 32


@pytest.mark.parametrize("in_memory", [True, False])
def test_only_what_is_in_the_mix_is_counted_unless_tokens_are_the_budget(
    in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    def tokenizer(texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        counted.extend(texts)
        return {"input_ids": [[0] * len(text.split()) for text in texts]}

    monkeypatch.setattr("latxa_cli.mixing.tokens.load_tokenizer", lambda _: tokenizer)
    tokens._tokenizer.cache_clear()
    given = {"docs": documents(*map(str, range(60))), "en": [conversation("1", "one two", "three, four")]}
    options: dict[str, Any] = {"in_memory": in_memory, "part_bytes": 700, "tokenizer": "fake"}
    found = mix(tmp_path, given, input_flags=InputFlags(weight=["docs=0.25"]), take=9, **options)
    texts = [record.get("text", "one two\nthree, four") for record in found.records]
    assert sorted(counted) == sorted(texts)
    counted.clear()
    mix(tmp_path, given, take_tokens=9, **options)
    tokens._tokenizer.cache_clear()
    assert len(counted) == 61 and "one two\nthree, four" in counted


@pytest.mark.parametrize("in_memory", [True, False])
def test_less_than_the_budget_of_tokens_is_told(in_memory: bool, tokenizer: str, tmp_path: Path) -> None:
    from latxa_cli.mixing.checks import check

    docs = write(tmp_path / "docs.jsonl", documents(*map(str, range(4))))
    for tokens_wanted, expected in (
        (12, []), (13, ["`--take-tokens 13`: there are 12 tokens, and all are taken"]), (11, [])
    ):  # fmt: skip
        options = {"tokenizer": tokenizer, "take_tokens": tokens_wanted}
        made = mix(tmp_path, {"docs": docs}, in_memory=in_memory, **options).mix
        said: list[str] = []
        check(made.store, made.decision, MixOptions(1 << 30, **options), [], said.append)
        assert said == expected


# --- memory, and inputs that change ----------------------------------------------------------------------------------


def test_what_turns_out_not_to_fit_goes_through_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = mix(tmp_path, world())
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "ROW_BYTES", 1 << 30)
    monkeypatch.setattr(memory, "LINE_BYTES", 1 << 40)
    found = mix(tmp_path, world())
    assert type(found.mix.store).__name__ == "ByFiles" and type(expected.mix.store).__name__ == "InMemory"
    assert found.data == expected.data


def test_whether_the_lines_fit_is_guessed_by_their_size() -> None:
    def part(size: int) -> Part:
        return Part(0, 0, "f", "f", 0, size, 1, "jsonl")

    sizes = (10_000_000, 20_000_000)
    needed = memory.BASE + 30_000_000 + 30_000_000 // memory.LINE_BYTES * memory.ROW_BYTES
    parts = [part(size) for size in sizes]
    assert memory.fits(parts, needed) and not memory.fits(parts, needed - 1)
    assert not memory.fits([*parts, part(PART_BYTES + LONGEST_LINE + 1)], 1 << 60)


def test_copies_make_more_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket is to be an eighth of the memory, however often its records are copied."""
    buckets: list[int] = []

    def noted(self: Work, name: str, function: Any, tasks: Any, **options: Any) -> Any:
        buckets.extend(task.buckets for task in tasks if name == "scatter")
        return whole(self, name, function, tasks, **options)

    whole = Work.stage
    monkeypatch.setattr(Work, "stage", noted)
    data = write(tmp_path / "in.jsonl", documents(*map(str, range(100))))
    for weight in (1, 7, 0.5):
        mix(tmp_path, {"docs": data}, in_memory=False, memory=20_000, input_flags=InputFlags(weight=[f"docs={weight}"]))
    size = data.stat().st_size
    assert buckets == [int(8 * size * max(1, weight) / 20_000) + 1 for weight in (1, 7, 0.5)]
    assert buckets[1] > 6 * (buckets[0] - 1)


def test_as_many_processes_as_the_memory_has_room_for() -> None:
    assert MixOptions(WORKER_BYTES).processes == MixOptions(2 * WORKER_BYTES).processes == 1
    assert MixOptions(1 << 60).processes == cores() and MixOptions(WORKER_BYTES, workers=7).processes == 7
    MixOptions(WORKER_BYTES).check()
    with pytest.raises(UsageError, match="too little"):
        MixOptions(WORKER_BYTES - 1).check()


@pytest.mark.parametrize("in_memory", [True, False])
def test_an_input_that_is_changed_meanwhile_is_an_error(in_memory: bool, tmp_path: Path) -> None:
    from latxa_cli.mixing.mix import make_mix
    from latxa_cli.stages import Work, open_executor
    from latxa_cli.stream.sources import parse_sources

    path = write(tmp_path / "in.jsonl", documents(*map(str, range(9))))
    sources = parse_sources([f"docs={path}"])
    with open_executor("local", 1) as pool, Work(tmp_path / "work", {}, pool) as work:
        made = make_mix(MixOptions(1 << 30), InputFlags(), sources, work, in_memory=in_memory, say=lambda _: None)
        path.write_bytes(path.read_bytes().replace(b"text of 3", b"TEXT OF 3"))
        with pytest.raises(LatxaError, match="was changed while it was read"):
            list(made.outcomes())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"take": 1, "take_tokens": 1}, "two budgets"),
        ({"take_tokens": 1}, "`--take-tokens` needs `--tokenizer`"),
        ({"memory": 10**6}, "`--memory 1 MB` is too little"),
    ],
)
def test_options_that_cannot_be(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MixOptions(**{"memory": 10**9} | options).check()
