"""The kernel against the plain reader: what it accepts it must read and write in the same way."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spellings import TEXTS, lines

from latxa_cli.mixing.draw import Picks
from latxa_cli.mixing.lines import LineTable, ScannedLines, array_of, from_data, from_lines, map_part, with_addresses
from latxa_cli.mixing.rows import InputReading
from latxa_cli.native.layout import MADE, PADDING
from latxa_cli.stream.cutting import Part

HOW = InputReading("docs", seed=5, set_aside=True)
COMPARED = ["identity", "check", "bytes", "words", "input"]
MANY = settings(max_examples=400)


def read(line: bytes, how: InputReading = HOW) -> tuple[ScannedLines, np.ndarray]:
    data = array_of(line + b"\n")
    return from_data(data, len(line) + 1, how), data


def written(found: ScannedLines, data: np.ndarray, epoch: int = 1, count: int = 1) -> bytes:
    """Return what becomes of the one record that was read, as a copy or as repeated content."""
    made = array_of(found.made)
    table = LineTable(with_addresses(found.rows, data, made), [data, made], ["docs"], [1], epoch)
    picks = Picks(np.array([0]), np.array([epoch]), np.array([0], np.uint64), np.array([count]))
    return b"".join(chunk.data.tobytes() for chunk in table.chunks(picks))


def in_plain_python(line: bytes, how: InputReading = HOW) -> ScannedLines:
    return from_lines([(0, line)], how)


def is_by_kernel(found: ScannedLines) -> bool:
    return len(found.rows) == 1 and not found.rows["flags"][0] & MADE


@MANY
@given(lines(), st.integers(1, 3))
def test_the_kernel_reads_and_writes_as_plain_python_does(line: bytes, epoch: int) -> None:
    (ours, data), theirs = read(line), in_plain_python(line)
    assert (ours.read, ours.other_split, ours.rejected) == (theirs.read, theirs.other_split, theirs.rejected)
    assert ours.rows[COMPARED].tolist() == theirs.rows[COMPARED].tolist()
    if len(theirs.rows):
        assert written(ours, data, epoch) == written(theirs, data, epoch)


@MANY
@given(lines(), st.data())
def test_a_line_that_was_damaged_is_not_taken_for_another(line: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, max(0, len(line) - 1)))
    put = data.draw(
        st.sampled_from([b"", b'"', b"\\", b",", b"}", b"]", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\0", b" "])
    )
    broken = (line[:place] + put + line[place + 1 :]).replace(b"\n", b" ")
    (ours, array), theirs = read(broken), in_plain_python(broken)
    assert (ours.read, [aside.reason for aside in ours.rejected]) == (theirs.read, [a.reason for a in theirs.rejected])
    assert ours.rows[COMPARED].tolist() == theirs.rows[COMPARED].tolist()
    if len(theirs.rows):
        assert orjson.loads(written(ours, array)) == orjson.loads(written(theirs, array))


@given(TEXTS, st.booleans())
def test_words_and_bytes_are_those_of_the_text(text: str, ascii_only: bool) -> None:
    line = json.dumps({"id": "a", "text": text}, ensure_ascii=ascii_only).encode()
    found, _ = read(line)
    assert found.rows["words"].tolist() == [len(text.split())]
    assert found.rows["bytes"].tolist() == [len(text.encode())]


USUAL = {
    "a document": {"id": "1", "text": "two words"},
    "with a source": {"id": "1", "source": "web/2024", "text": "x"},
    "an empty source": {"id": "1", "text": "x", "source": ""},
    "with metadata": {"id": "1", "text": "x", "metadata": {"p": 0.9375, "split": "train", "deep": {"a": [1, None]}}},
    "metadata before the source": {"metadata": {}, "id": "1", "text": "x", "source": "s"},
    "the source before metadata": {"id": "1", "text": "x", "source": "s", "metadata": {"a": 1}},
    "a chat": {
        "id": "1",
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": 'a\n"b"\\'}],
    },
    "other fields": {
        "id": "ñ/é",
        "text": "x",
        "source": "ü",
        "n": -12,
        "b": [True, False, None, {}],
        "t": "\u0001\u2028",
    },
}


@pytest.mark.parametrize("what", USUAL)
@pytest.mark.parametrize("dumps", [orjson.dumps, lambda record: json.dumps(record, ensure_ascii=False).encode()])
def test_usual_lines_are_for_the_kernel(what: str, dumps: Any) -> None:
    record = USUAL[what]
    found, data = read(dumps(record))
    assert is_by_kernel(found), "this would be slow"
    source = f"docs/{record['source']}" if record.get("source") else "docs"
    assert written(found, data) == orjson.dumps(record | {"source": source}) + b"\n"
    third = record | {"source": source, "metadata": record.get("metadata", {}) | {"epoch": 3}}
    assert written(found, data, epoch=3) == orjson.dumps(third) + b"\n"


UNUSUAL = {
    "a field twice": (
        b'{"id":"1","text":"a","text":"b","source":"s","source":"t"}',
        b'{"id":"1","text":"b","source":"docs/t"}',
    ),
    "a role twice": (
        b'{"id":"1","messages":[{"role":"user","role":"system","content":""}]}',
        b'{"id":"1","messages":[{"role":"system","content":""}],"source":"docs"}',
    ),
    "an escaped field": (b'{"id":"1","te\\u0078t":"a"}', b'{"id":"1","text":"a","source":"docs"}'),
    "an escaped source": (b'{"id":"1","text":"","source":"a\\/b"}', b'{"id":"1","text":"","source":"docs/a/b"}'),
    "escapes without need": (
        b'{"id":"1","text":"\\u00e9\\/\\u000A"}',
        '{"id":"1","text":"é/\\n","source":"docs"}'.encode(),
    ),
    "no id": (b'{"text":"a"}', b'{"id":"%b","text":"a","source":"docs"}' % b"b7a2a2a8ed6a2d9f"),
    "a number for an id": (b'{"text":"a","id":7}', b'{"id":"7","text":"a","source":"docs"}'),
    "source null": (b'{"id":"1","text":"a","source":null,"n":1}', b'{"id":"1","text":"a","source":"docs","n":1}'),
    "an exponent": (b'{"id":"1","text":"a","n":1E2}', b'{"id":"1","text":"a","n":100.0,"source":"docs"}'),
    "a nested source": (
        b'{"id":"1","text":"a","metadata":{"source":"x"},"o":{"source":"y","id":"z"}}',
        b'{"id":"1","text":"a","metadata":{"source":"x"},"o":{"source":"y","id":"z"},"source":"docs"}',
    ),
    "Alpaca's spelling": (
        b'{"id":"1","instruction":"a","input":"b","output":"c"}',
        b'{"id":"1","messages":[{"role":"user","content":"a\\n\\nb"},{"role":"assistant","content":"c"}],"source":"docs"}',
    ),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_unusual_lines_come_out_in_our_spelling(what: str) -> None:
    line, expected = UNUSUAL[what]
    found, data = read(line)
    if what == "no id":
        expected = expected.replace(b"b7a2a2a8ed6a2d9f", orjson.loads(written(found, data))["id"].encode())
    assert written(found, data) == expected + b"\n"
    assert orjson.loads(expected)["source"].startswith("docs")


def test_a_text_with_messages_that_are_none_is_malformed() -> None:
    found, _ = read(b'{"id":"1","text":"a","messages":3}')
    assert [aside.reason for aside in found.rejected] == ["malformed"]


def test_other_splits_are_left_out_and_counted() -> None:
    records = [
        {"id": str(n), "text": "x", "metadata": {"split": split}} for n, split in enumerate(["train", "valid", "test"])
    ]
    data = b"".join(orjson.dumps(record) + b"\n" for record in [*records, {"id": "9", "text": "x"}])
    for split, kept in (("train", 2), ("valid", 1), ("dev", 0)):
        found = from_data(array_of(data), len(data), InputReading("docs", split=split))
        assert (len(found.rows), found.other_split, found.read) == (kept, 4 - kept, 4)


def test_lines_are_counted_where_blank_ones_are_between() -> None:
    data = b'\n  \n{"id":"1","text":"x"}\r\n\t\nbroken\n\n{"id":"2","text":"y"}'
    found = from_data(array_of(data), len(data), HOW, lambda row: f"FILE:{row + 1}")
    assert (len(found.rows), found.read) == (2, 3)
    assert [orjson.loads(aside.entry)["where"] for aside in found.rejected] == ["FILE:5"]


@pytest.mark.parametrize("behind", [21, 40])
def test_what_may_be_read_behind_a_part_is_there(tmp_path: Path, behind: int) -> None:
    """A short part follows, and the file ends with a page: behind that there may be nothing."""
    file = tmp_path / "in.jsonl"
    rest = b'{"id":"2","text":"%b"}\n' % (b"x" * (behind - 21))
    first = b'{"id":"1","text":"%b"}\n' % (b"x" * (2 * mmap.PAGESIZE - 21 - behind))
    file.write_bytes(first + rest)
    assert file.stat().st_size == 2 * mmap.PAGESIZE and len(rest) == behind
    data = map_part(Part(0, 0, "in.jsonl", str(file), 0, len(first), 1, "jsonl"))
    assert len(data) >= len(first) + PADDING
    assert data[: len(first)].tobytes() == first
