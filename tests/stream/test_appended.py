"""Files that grow: each record is on the disk or not in the file at all, and nothing that is there is ever replaced."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import xxhash
from full_disk import files_no_larger_than

from latxa_cli.stream.appended import AppendedOutputs
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.outputs import Destination
from latxa_cli.stream.records import Record, Reject


def opened(path: Path, *, resume: bool = False, rejects: Path | None = None) -> AppendedOutputs:
    outputs = AppendedOutputs("vote", Destination(output=path, resume=resume, rejects=rejects))
    outputs.open({}, None)
    return outputs


def records(*names: str) -> list[Record]:
    return [{"id": name, "text": name * 40} for name in names]


def names_in(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_records_can_be_read_at_once_and_later_runs_add_to_them(path: Path) -> None:
    first = opened(path)
    assert list(first.earlier("document")) == []
    first.append(records("a", "b"))
    assert names_in(path) == ["a", "b"]
    first.close()
    later = opened(path, resume=True)
    assert [record["id"] for record in later.earlier("document")] == ["a", "b"]
    later.append(records("c"))
    later.refuse(Reject({"id": "d"}, "odd"))
    assert names_in(path) == ["a", "b", "c"]
    assert later.counts.as_dict() == {"in": 4, "out": 3, "rejected": {"odd": 1}}
    later.close()


def test_what_is_there_is_not_replaced(path: Path) -> None:
    path.write_text('{"id": "a"}\n')
    with pytest.raises(UsageError, match="exists already"):
        opened(path)
    with pytest.raises(UsageError, match="exists already"):
        opened(path.with_name("other.jsonl"), rejects=path)
    assert path.read_text() == '{"id": "a"}\n'


def test_a_compressed_file_does_not_grow(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not compressed"):
        opened(tmp_path / "out.jsonl.gz")


@pytest.mark.parametrize("torn", [b'{"id": "c', b'{"id": "c", "text": "c"', b"7", bytes(70_000)])
def test_a_torn_line_is_cut_off_once_the_work_begins(torn: bytes, path: Path) -> None:
    outputs = opened(path)
    outputs.append(records("a", "b"))
    outputs.close()
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    opened(path, resume=True).close()  # a run that fails before its work
    assert path.read_bytes() == whole + torn
    outputs = opened(path, resume=True)
    assert f"of {len(torn):,} bytes is cut off" in outputs.remark
    assert len(list(outputs.earlier("document"))) == 2
    assert path.read_bytes() == whole
    outputs.close()


def test_a_last_line_without_a_break_is_kept(path: Path) -> None:
    """As an editor leaves it."""
    outputs = opened(path)
    outputs.append(records("a", "b"))
    outputs.close()
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    outputs = opened(path, resume=True)
    assert [record["id"] for record in outputs.earlier("document")] == ["a", "b"] and outputs.remark == ""
    outputs.append(records("c"))
    assert names_in(path) == ["a", "b", "c"]
    outputs.writers["-o"].finish()
    assert outputs.writers["-o"].describe()["xxh3_128"] == xxhash.xxh3_128_hexdigest(path.read_bytes())


def replaced(path: Path, data: bytes) -> None:
    """As `sed -i` does it, and many editors."""
    path.with_name("new").write_bytes(data)
    path.with_name("new").replace(path)


@pytest.mark.parametrize("write", [replaced, Path.write_bytes], ids=["replaced", "in place"])
@pytest.mark.parametrize(
    ("edit", "left"),
    [
        (lambda data: data.split(b"\n", 1)[1], "b"), (lambda data: data.replace(b"aa", b"aaa"), "ab"),
        (lambda data: data + b'{"id": "x"}', "abx"), (lambda data: data + b'{"id": "x', "ab"), (lambda data: b"", ""),
    ],
)  # fmt: skip
def test_records_go_on_in_a_file_that_others_change(write: Any, edit: Any, left: str, path: Path) -> None:
    outputs = opened(path)
    outputs.append(records("a", "b"))
    write(path, edit(path.read_bytes()))
    outputs.append(records("c"))
    assert names_in(path) == [*left, "c"] and outputs.remark
    assert len(outputs.remove("gone", b'"c"', lambda record: record["id"] == "c")) == 1
    outputs.append(records("d"))
    assert names_in(path) == [*left, "d"]
    outputs.writers["-o"].finish()
    assert outputs.writers["-o"].describe()["xxh3_128"] == xxhash.xxh3_128_hexdigest(path.read_bytes())


def test_a_file_that_is_gone_is_made_again(path: Path) -> None:
    outputs = opened(path)
    outputs.append(records("a"))
    path.unlink()
    outputs.append(records("b"))
    assert names_in(path) == ["b"] and "another program has changed it" in outputs.remark
    replaced(path, path.read_bytes())
    other = opened(path, resume=True)  # the new file is nobody's
    with pytest.raises(LatxaError, match="another run"):
        outputs.append(records("c"))
    other.close()
    outputs.append(records("d"))
    assert names_in(path) == ["b", "d"]
    outputs.close()


def test_a_full_disk_leaves_no_half_of_a_reject(path: Path) -> None:
    rejects = path.with_name("rejects.jsonl")
    outputs = opened(path, rejects=rejects)
    outputs.refuse(Reject({"id": "a"}, "odd"))
    before = rejects.read_bytes()
    assert before.endswith(b"}\n")  # at once: a kill does not take it
    with files_no_larger_than(len(before) + 20), pytest.raises(LatxaError, match="cannot be written"):
        outputs.refuse(Reject({"id": "b" * 100_000}, "odd"))
    outputs.refuse(Reject({"id": "c"}, "odd"))
    assert [json.loads(line)["record"]["id"] for line in rejects.read_bytes().splitlines()] == ["a", "c"]
    assert outputs.counts.as_dict() == {"in": 2, "out": 0, "rejected": {"odd": 2}}
    outputs.close()


def test_a_full_disk_leaves_no_copy(path: Path) -> None:
    outputs = opened(path)
    outputs.append(records("a", "b", "c"))
    before = path.read_bytes()
    with files_no_larger_than(100), pytest.raises(LatxaError, match="cannot be written"):
        outputs.remove("gone", b'"a"', lambda record: record["id"] == "a")
    assert path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == [path.name]
    assert len(outputs.remove("gone", b'"a"', lambda record: record["id"] == "a")) == 1
    outputs.append(records("d"))
    assert names_in(path) == ["b", "c", "d"]
    outputs.close()


def test_what_is_no_record_is_not_removed(path: Path) -> None:
    outputs = opened(path)
    outputs.append(records("a"))
    path.write_bytes(b'{"id": "a"\n["a"]\n' + path.read_bytes())
    assert len(outputs.remove("gone", b"a", lambda record: True)) == 1
    assert path.read_bytes() == b'{"id": "a"\n["a"]\n'
    outputs.close()


def test_a_new_file_without_records_is_removed(path: Path) -> None:
    opened(path).close()
    assert not path.exists()


def test_all_records_of_a_call_or_none(path: Path) -> None:
    outputs = opened(path)
    outputs.append(records("a"))
    with files_no_larger_than(path.stat().st_size + 60):
        for _ in range(2):
            with pytest.raises(LatxaError, match="cannot be written"):
                outputs.append(records("b", "c"))
            assert names_in(path) == ["a"]
    with pytest.raises(LatxaError, match="cannot be written as JSON"):
        outputs.append([*records("d"), {"id": "e", "text": object()}])
    assert names_in(path) == ["a"]
    outputs.append(records("f"))
    assert names_in(path) == ["a", "f"] and outputs.counts.written == 2
    outputs.writers["-o"].finish()
    described = outputs.writers["-o"].describe()
    assert described["bytes"] == path.stat().st_size
    again = opened(path, resume=True)
    assert len(list(again.earlier("document"))) == 2
    assert again.writers["-o"].describe() == described
    again.close()


def test_the_key_is_kept_and_its_owner_s_alone(path: Path) -> None:
    outputs = opened(path)
    key = outputs.key()
    assert len(key) == 32 and key == outputs.key()
    assert stat.S_IMODE(path.with_name("out.jsonl.key").stat().st_mode) == 0o600
    outputs.append(records("a"))
    outputs.close()
    later = opened(path, resume=True)
    assert later.key() == key
    path.with_name("out.jsonl.key").write_bytes(b"short")
    with pytest.raises(LatxaError, match="is no key of 32 bytes"):
        later.key()
    path.with_name("out.jsonl.key").unlink()
    with pytest.raises(LatxaError, match="is gone"):
        later.key()
    later.close()


@pytest.mark.parametrize("size", [0, 10])
def test_a_full_disk_leaves_no_half_of_a_key(size: int, path: Path) -> None:
    outputs = opened(path)
    with files_no_larger_than(size), pytest.raises(LatxaError, match="cannot be used"):
        outputs.key()
    assert not list(path.parent.glob("*.key*")) and len(outputs.key()) == 32
    outputs.close()


def test_the_key_is_no_place_for_another_output(path: Path) -> None:
    with pytest.raises(UsageError, match="would both write"):
        opened(path, rejects=path.with_name("out.jsonl.key"))
