"""Files that grow: each record is on the disk or not in the file at all, and nothing that is there is ever replaced."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("torn", [b'{"id": "c', b'{"id": "c", "text": "c"}', bytes(70_000)])
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


def test_the_key_is_no_place_for_another_output(path: Path) -> None:
    with pytest.raises(UsageError, match="would both write"):
        opened(path, rejects=path.with_name("out.jsonl.key"))
