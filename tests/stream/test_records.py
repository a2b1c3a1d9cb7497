"""Records: checks, spellings, ids, keyed hashes; what is read is what was written."""

from __future__ import annotations

import random
import string
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.stream.errors import LatxaError, RecordError
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.kinds import KINDS
from latxa_cli.stream.reader import Identifier, read, stop_at_malformed
from latxa_cli.stream.records import content_id, keyed_hash
from latxa_cli.stream.writer import Writer

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)  # a lone surrogate is no text
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
# Hypothesis draws words of our source too, and fields that a document declares have a type.
TAKEN = {
    "id",
    "messages",
    "conversations",
    "instruction",
    "output",
    *(field.name for field in KINDS["document"].fields),
}
MORE = st.dictionaries(
    TEXT.filter(lambda name: name not in TAKEN),
    VALUES,
    max_size=4,
)
DOCUMENTS = st.builds(lambda more, text, name: {"id": name, "text": text, **more}, MORE, TEXT, TEXT.filter(bool))


def written_and_read(records: list[dict[str, Any]], ending: str) -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"records.jsonl{ending}"
        writer = Writer(path)
        for number, record in enumerate(records):
            writer.write(record)
            if number % 3 == 2:
                writer.flush()
        writer.finish()
        return list(read(Input(str(path)), "document", stop_at_malformed, Identifier()))


@given(st.lists(DOCUMENTS, max_size=6), st.sampled_from(["", ".gz", ".zst"]))
@settings(max_examples=60)
def test_any_record_survives_writing_and_reading(records: list[dict[str, Any]], ending: str) -> None:
    again = written_and_read(records, ending)
    assert again == records
    assert [list(record) for record in again] == [list(record) for record in records], "fields keep their order"


@given(MORE, TEXT, st.randoms())
def test_an_id_depends_on_the_content_and_not_on_the_order_of_fields(
    more: dict[str, Any], text: str, draw: random.Random
) -> None:
    record = {"text": text, **more}
    fields = list(record.items())
    draw.shuffle(fields)
    assert content_id(dict(fields)) == content_id(record)
    assert content_id(record) != content_id(record | {"text": text + "."})
    assert len(content_id(record)) == 16 and set(content_id(record)) <= set(string.hexdigits.lower())


def test_an_id_is_known() -> None:
    import hashlib

    assert content_id({"text": "a"}) == hashlib.sha256(b'{"text":"a"}').hexdigest()[:16]


def test_repeated_content_has_numbered_ids_and_given_ids_stay() -> None:
    ids = Identifier()
    same = [ids.identify({"text": "a"})["id"] for _ in range(3)]
    assert same == [same[0], f"{same[0]}-2", f"{same[0]}-3"]
    assert ids.identify({"text": "a", "metadata": {"seen": 1}})["id"] == f"{same[0]}-4", "metadata are no content"
    assert ids.identify({"text": "b", "id": "mine"}) == {"id": "mine", "text": "b"}
    assert ids.identify({"text": "b", "id": 7}) == {"id": "7", "text": "b"}
    assert next(iter(ids.identify({"text": "b", "id": None}))) == "id"
    with pytest.raises(ValueError, match="`id` is empty"):
        ids.identify({"text": "b", "id": ""})
    for wrong in (True, 1.5, [1], {}):
        with pytest.raises(ValueError, match="neither a string nor a whole number"):
            ids.identify({"text": "b", "id": wrong})


@given(st.integers(), st.lists(TEXT, min_size=1, max_size=3))
def test_a_keyed_hash_is_a_64_bit_number_of_seed_and_parts(seed: int, parts: list[str]) -> None:
    value = keyed_hash(seed, *parts)
    assert 0 <= value < 2**64
    assert value == keyed_hash(seed, *parts)
    assert value != keyed_hash(seed + 1, *parts)
    assert value != keyed_hash(seed, *parts, "more")


def test_errors_carry_file_and_line_with_blank_lines_counted(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\n{"text": "a"}\r\n\nnot json\n')
    with pytest.raises(RecordError, match=rf"^{path}:4: not JSON"):
        list(read(Input(str(path)), "document", stop_at_malformed, Identifier()))


@pytest.mark.parametrize("field", [{"metadata": "x"}, {"metadata": [1]}, {"source": ["a"]}])
def test_provenance_is_checked(field: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(orjson.dumps({"id": "a", "text": "b"} | field))
    with pytest.raises(LatxaError, match=f"in.jsonl:1: `{next(iter(field))}` is "):
        list(read(Input(str(path)), "document", stop_at_malformed, Identifier()))


def test_a_document_keeps_fields_that_look_like_a_conversation(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    record = {"id": "a", "text": "b", "instruction": "c", "output": "d", "conversations": [1]}
    path.write_bytes(orjson.dumps(record))
    assert list(read(Input(str(path)), "document", stop_at_malformed, Identifier())) == [record]
