"""Mixes that once came out wrong: names that look alike, contents that repeat, mixes of mixes, and mixes of nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from mixing_world import Made, Record, conversation, document, documents, mix, write

from latxa_cli.mixing import memory
from latxa_cli.mixing.admission import ask_for_language
from latxa_cli.mixing.inputs import InputFlags
from latxa_cli.mixing.mix import make_mix
from latxa_cli.mixing.options import MixOptions
from latxa_cli.stages import Work, open_executor
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.sources import parse_sources

WAYS: dict[str, dict[str, Any]] = {
    "in memory": {},
    "by kernel": {"kernel": True},
    "by files": {"in_memory": False, "part_bytes": 700},
}

NO_FLAGS = InputFlags()


def made(folder: Path, way: str, monkeypatch: pytest.MonkeyPatch, *arguments: Any, **options: Any) -> Made:
    given = WAYS[way] | options
    with monkeypatch.context() as patch:
        if given.pop("kernel", False):
            patch.setattr(memory, "SMALL", 0)
        return mix(folder, *arguments, **given)


# --- the kernel and the reader, byte by byte -------------------------------------------------------------------------

SPECIAL = (
    "id",
    "source",
    "text",
    "messages",
    "metadata",
    "conversations",
    "instruction",
    "output",
    "split",
    "epoch",
    "system",
    "history",
    "prompt",
    "response",
    "conversation",
    "inputs",
)
ALIKE: list[bytes] = [
    orjson.dumps(document("1") | {name + more: value})
    for name in SPECIAL
    for more in ("s", "_raw", "_original")
    for value in ("x", {"split": "valid"}, [{"role": "user", "content": "Hi"}], 3)
]
ALIKE += [
    orjson.dumps(document("1", metadata={name + more: value}))
    for name in ("split", "epoch")
    for more in ("s", "_raw")
    for value in ("valid", 3)
]
ALIKE += [
    orjson.dumps({"id": "1", "messages": [{"role": role, "content": "Hi"}]})
    for role in ("assistant", "assistan", "assistants", "assistanx", "assistant ", "user", "users", "systems", "syste")
]
ALIKE += [
    orjson.dumps({"id": "1", "messages": [{"role": "user", "content": "Hi", name: "x"}]})
    for name in ("roles", "contents")
]
ALIKE += [
    b'{"id":"1","text":"x","n":%b}' % value
    for value in (
        b"0.10000000000000001", b"123456789.0123456", b"12345678.0123456", b"9007199254740993", b"1234567890123456.5",
        b"99999999999999.9", b"0.12345678901234567", b"-0.0", b"100000000000000.0",
        b'{"a":1,"a":2}', b'{"a":{"b":1,"c":2,"b":3},"d":[{"e":1},{"e":2}]}', b'[{"a":1,"b":[1,{"a":1,"a":2}]}]',
        b'{"a":{"b":1},"b":{"a":2},"c":[{},{"a":1}],"a":5}',
    )
]  # fmt: skip
ALIKE += [b'{"id":"1","text":"x","metadata":{"a":{"b":1,"b":2}}}', b'{"id":"1","text":"x","metadata":{"a":{"b":1}}}']


@pytest.mark.parametrize("way", ["by kernel", "by files"])
def test_what_looks_like_a_known_name_or_number_is_read_as_it_is(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {f"n{number}": [line] for number, line in enumerate(ALIKE)}
    input_flags = InputFlags(weight=[f"{name}=2" for name in given])
    plain, other = (made(tmp_path, which, monkeypatch, given, input_flags=input_flags) for which in ("in memory", way))
    assert sorted(other.data.split(b"\n")) == sorted(plain.data.split(b"\n"))
    assert [entry["detail"] for entry in other.rejects] == [entry["detail"] for entry in plain.rejects]
    for record in plain.records:
        came = json.loads(ALIKE[int(record["source"].split("/")[0][1:])])
        assert {name for name in came if not name.startswith("conversations")} - {"instruction"} <= set(record)


@pytest.mark.parametrize("way", WAYS)
def test_records_without_a_split_are_for_training(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [document("1"), document("2", metadata={}), document("3", metadata={"split": None})]
    records += [document("4", metadata={"split": "valid"}), document("5", metadata={"split": "train"})]
    for split, expected in (("train", ["1", "2", "3", "5"]), ("valid", ["4"]), ("test", [])):
        found = made(tmp_path, way, monkeypatch, {"docs": records}, split=split)
        assert sorted(name for _, name in found.keys) == expected


# --- contents that repeat --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("named", [False, True])
def test_no_content_is_held_out_and_in_the_mix(
    way: str, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[Record] = [{"text": f"text {n % 20}"} for n in range(60)]
    if named:  # as a mix of them says
        records = [{"id": r["id"], "text": r["text"]} for r in mix(tmp_path, {"docs": records}).records]
    found = made(tmp_path, way, monkeypatch, {"docs": records}, input_flags=InputFlags(hold_out=["docs=6"]))
    held = [record["text"] for record in found.held]
    assert len(held) == len(set(held)) == 6
    assert sorted(record["text"] for record in found.records) == sorted(
        record["text"] for record in records if record["text"] not in held
    )
    assert {what: found.mix.shares.total(what) for what in ("held out", "same as held out", "not taken")} == {
        "held out": 6, "same as held out": 12, "not taken": 0,
    }  # fmt: skip
    with pytest.raises(LatxaError, match="`docs` has 20 records, of which 21"):
        made(tmp_path, way, monkeypatch, {"docs": records}, input_flags=InputFlags(hold_out=["docs=21"]))


@pytest.mark.parametrize("way", WAYS)
def test_as_many_of_repeated_contents_as_are_wanted(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(tmp_path, way, monkeypatch, {"docs": [{"text": "same"}] * 30}, take=7)
    assert len(set(found.keys)) == 7


@pytest.mark.parametrize("way", WAYS)
def test_a_mix_of_a_mix_has_all_its_copies(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(
        tmp_path, way, monkeypatch, {"docs": documents(*"abcdefgh")}, input_flags=InputFlags(weight=["docs=2.5"])
    )
    again = made(tmp_path, way, monkeypatch, {"m": first.records})
    assert not again.rejects and len(again.records) == 20
    assert sorted(map(orjson.dumps, again.records)) == sorted(
        orjson.dumps(record | {"source": "m/docs"}) for record in first.records
    )
    twice = made(tmp_path, way, monkeypatch, {"m": first.records * 2})
    assert len(twice.rejects) == 20 and len(twice.records) == 20
    held = made(tmp_path, way, monkeypatch, {"m": first.records}, input_flags=InputFlags(hold_out=["m=3"]))
    names = {record["id"] for record in held.held}
    assert len(held.held) == len(names) == 3 and not names & {record["id"] for record in held.records}


@pytest.mark.parametrize("way", WAYS)
def test_copies_of_copies_are_each_of_an_epoch_of_their_own(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(
        tmp_path, way, monkeypatch, {"docs": documents(*"abcdefgh")}, input_flags=InputFlags(weight=["docs=2.5"])
    )
    others = [*documents("x", "y"), document("z", metadata={"n": 1}), document("t", metadata={"epoch": 2**62})]
    inputs = {"m": first.records, "new": others}
    input_flags = InputFlags(weight=["m=2.25", "new=3"])
    again = made(tmp_path, way, monkeypatch, inputs, input_flags=input_flags)
    epochs: dict[tuple[str, str], list[int]] = {}
    for record in again.records:
        epochs.setdefault((record["source"], record["id"]), []).append((record.get("metadata") or {}).get("epoch", 1))
    assert all(len(set(found)) == len(found) for found in epochs.values())
    assert len(again.records) == 45 + 12 and not again.rejects
    assert [sorted(epochs["new", name]) for name in "xyz"] == [[1, 2, 3]] * 3
    assert sorted(epochs["new", "t"]) == [2, 3, 2**62], "a time is no epoch"
    for record in first.records:
        own = (record.get("metadata") or {}).get("epoch", 1)
        found = set(epochs["m/docs", record["id"]])
        assert {own, own + 3} <= found <= set(range(1, 10))
    mixed_again = made(tmp_path, way, monkeypatch, {"k": again.records}, input_flags=InputFlags(weight=["k=2"]))
    assert not mixed_again.rejects and len(mixed_again.records) == 2 * 57
    assert len({orjson.dumps(record) for record in mixed_again.records}) == 2 * 57


# --- rejects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_duplicates_are_set_aside_without_what_the_mix_adds(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [conversation("1", "Hi \n", "Kaixo", **fields) for fields in ({}, {}, {"source": ""}, {"source": None})]
    input_flags = InputFlags(answer_in=["eu=Basque"])
    found = made(tmp_path, way, monkeypatch, {"eu": records, "en": records}, input_flags=input_flags)
    assert [entry["record"] for entry in found.rejects] == records[1:] * 2
    assert [entry["detail"] for entry in found.rejects] == ["eu: 1"] * 3 + ["en: 1"] * 3


# --- the language to answer in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "metadata", "expected"),
    [
        ("Hi", {}, "Hi Answer in Welsh."),
        ("Hi \n\n", {}, "Hi Answer in Welsh."),
        ("Hi Answer in Welsh.\n", {}, "Hi Answer in Welsh."),
        ("", {}, "Answer in Welsh."),
        ("Hi, in Welsh \n", {"answer_in": "Welsh"}, "Hi, in Welsh \n"),
        ("Hi", {"answer_in": "Irish"}, "Hi Answer in Welsh."),
    ],
)
def test_a_language_is_asked_for_once(content: str, metadata: Record, expected: str) -> None:
    asked = ask_for_language(conversation("1", content, "ateb", metadata=metadata), "Welsh")
    assert isinstance(asked, dict)
    assert asked["messages"][0]["content"] == expected
    assert asked["metadata"] == {"answer_in": "Welsh"}
    assert ask_for_language(asked, "Welsh") == asked


# --- what the user is told -------------------------------------------------------------------------------------------


def told(
    folder: Path, inputs: dict[str, list[Record]], input_flags: InputFlags = NO_FLAGS, **options: Any
) -> list[str]:
    said: list[str] = []
    for in_memory in (True, False):
        arguments = [f"{name}={write(folder / f'{name}.jsonl', found)}" for name, found in inputs.items()]
        with open_executor("local", 1) as pool, Work(folder / f"{in_memory}.work", {}, pool) as work:
            chosen = MixOptions(**{"memory": 1 << 30, "set_aside": True} | options)
            make_mix(chosen, input_flags, parse_sources(arguments), work, in_memory=in_memory, say=said.append)
    assert said[::2] == said[1::2] or said[: len(said) // 2] == said[len(said) // 2 :]
    return said[: len(said) // 2]


@pytest.mark.parametrize(
    ("input_flags", "options", "hint"),
    [
        (InputFlags(), {"split": "vaild"}, "10 records are not of the split `vaild`; there are `train`, `valid`"),
        (InputFlags(hold_out=["docs=8"]), {}, "8 records are held out"),
        (InputFlags(weight=["docs=0.01"]), {}, "8 records are not drawn"),
    ],
)
def test_a_mix_of_nothing_is_an_error(input_flags: InputFlags, options: Record, hint: str, tmp_path: Path) -> None:
    records = [*documents(*"abcdefgh"), *documents("i", "j", metadata={"split": "valid"})]
    with pytest.raises(LatxaError, match="nothing is in the mix") as error:
        told(tmp_path, {"docs": records}, input_flags, **options)
    assert error.value.hint.startswith(hint)


def test_empty_inputs_are_named(tmp_path: Path) -> None:
    assert told(tmp_path, {"docs": documents("a"), "cy": []}) == ["`cy` is empty"]
    assert told(tmp_path, {"cy": []}) == ["`cy` is empty"]


def test_budgets_beyond_what_there_is_are_told(tmp_path: Path) -> None:
    input_flags = InputFlags(take_from=["docs=9"], weight=["docs=2"])
    assert told(tmp_path, {"docs": documents(*"abc")}, input_flags, take=7) == [
        "`--take-from docs=9`: there are 3 records, and all are taken",
        "`--take 7`: there are 6 records, and all are taken",
    ]  # fmt: skip
    assert told(tmp_path, {"docs": documents(*"abc")}, InputFlags(take_from=["docs=3"]), take=3) == []


@pytest.mark.parametrize("in_file", [True, False])
def test_where_nothing_is_scored_no_criterion_is_missed(in_file: bool, tmp_path: Path) -> None:
    """It is said where there is no file of scores that could have some."""
    file = str(write(tmp_path / "scores", [{"id": "1", "scores": {}}])) if in_file else None
    options = {"criterion": "accuracy", "scores": file}
    found = told(tmp_path, {"docs": documents("1")}, InputFlags(minimum=["docs=1"]), **options)
    without = "`--minimum`: the records of `docs` have no `metadata.scores`; `--scores` takes a file of them"
    assert found == ([] if in_file else [without])


@pytest.mark.parametrize("in_file", [True, False])
def test_a_criterion_that_nobody_went_by(in_file: bool, tmp_path: Path) -> None:
    scores = {"accuracy": 3, "fluency": 2}
    records = [document("1", metadata={"scores": scores})]
    file = str(write(tmp_path / "scores", [{"id": "1", "scores": scores}])) if in_file else None
    with pytest.raises(LatxaError, match="`--criterion acuracy`: no record has this score") as error:
        told(tmp_path, {"docs": records}, InputFlags(minimum=["docs=1"]), criterion="acuracy", scores=file)
    assert error.value.hint == "did you mean `accuracy`?"
    assert told(tmp_path, {"docs": records}, InputFlags(minimum=["docs=1"]), criterion="accuracy", scores=file) == []


def test_clusters_do_not_depend_on_memory() -> None:
    from inspect import signature

    from latxa_cli.mixing.kmeans import cluster

    assert set(signature(cluster).parameters) == {"vectors", "clusters", "keys"}
    assert cluster(np.eye(4), 4, np.arange(4, dtype=np.uint64)).tolist() in [[*p] for p in _orders(4)]


def _orders(count: int) -> list[tuple[int, ...]]:
    from itertools import permutations

    return list(permutations(range(count)))


@pytest.mark.parametrize(("flag", "needed"), [("--criterion", "--minimum"), ("--clusters", "--diversify")])
def test_flags_that_need_another(flag: str, needed: str, latxa: Any, tmp_path: Path) -> None:
    done = latxa("mix", f"docs={write(tmp_path / 'docs.jsonl', documents('a'))}", flag, "3")
    assert done.returncode == 2 and f"`{flag}` needs `{needed}`" in done.stderr.decode()


def test_work_is_not_gone_on_with_by_another_memory(latxa: Any, tmp_path: Path) -> None:
    """A folder of work that is left, as by a kill: it is that of a run that fails after reading, made to look so."""
    docs = write(tmp_path / "docs.jsonl", documents("a"))
    command = ["mix", f"docs={docs}", "--work", tmp_path / "work", "-o", tmp_path / "out.jsonl", "--split", "none"]
    assert latxa(*command).returncode == 1
    assert (tmp_path / "work" / "plan.json").exists()
    done = latxa(*command, "--memory", "3GB", "--resume")
    assert done.returncode == 2 and "`memory` was `2000000000`" in done.stderr.decode()


@pytest.mark.parametrize("way", WAYS)
def test_ids_that_every_file_counts_anew_name_other_records(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [document(str(n), text=f"text {n} of shard {shard}") for shard in range(3) for n in range(40)]
    found = made(tmp_path, way, monkeypatch, {"m": [*shards, *shards[:5]]})
    assert sorted(record["text"] for record in found.records) == sorted(record["text"] for record in shards)
    assert [entry["reason"] for entry in found.rejects] == ["duplicate"] * 5
    # Each is drawn for itself, and none is lost between what is held out and what is left.
    held = made(tmp_path, way, monkeypatch, {"m": shards}, input_flags=InputFlags(hold_out=["m=50"]))
    assert len(held.held) == 50 and len(held.records) == 70
    assert len({record["id"] for record in held.held}) > 25  # 17 if those of one id were drawn together
