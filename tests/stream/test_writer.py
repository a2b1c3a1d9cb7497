"""Writing: whole records, offsets between two of them, names given at the end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import zstandard

from latxa_cli.stream import writer as writer_module
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import fingerprint
from latxa_cli.stream.writer import Writer, part_of, write_file


def unpacked(path: Path, data: bytes) -> bytes:
    if path.suffix == ".gz":
        import gzip

        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    return data


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
def test_a_file_continued_at_an_offset_holds_each_record_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    writer = Writer(path)
    for number in range(5):
        writer.write({"id": str(number)})
    offset = writer.sync()
    writer.write({"id": "lost" * 10_000})  # more bytes than are written over it
    writer.write({"id": "lost"})
    writer.sync()
    os.close(writer.descriptor)  # as a kill leaves it: the last records lie behind the checkpoint
    before = part_of(path).read_bytes()
    Writer(path, offset).close()
    assert part_of(path).read_bytes() == before, "a run that fails before its work has not touched it"
    again = Writer(path, offset)
    again.begin()
    assert part_of(path).stat().st_size == again.offset == offset
    for number in range(5, 8):
        again.write({"id": str(number)})
    assert not path.exists()
    again.finish()
    assert not part_of(path).exists()
    lines = unpacked(path, path.read_bytes()).splitlines()
    assert [json.loads(line)["id"] for line in lines] == list("01234567")


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
def test_a_file_begun_again_holds_nothing_of_the_one_before(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    part_of(path).write_bytes(b"left by a run that was killed\n" * 100)
    writer = Writer(path)
    writer.write({"id": "a"})
    writer.finish()
    assert unpacked(path, path.read_bytes()) == b'{"id":"a"}\n'


def test_a_write_that_takes_a_part_is_followed_by_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    writer = Writer(tmp_path / "out.jsonl")
    for number in range(9):
        writer.write({"id": str(number)})
    writer.finish()
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(b'{"id":"%d"}\n' % number for number in range(9))
    assert writer.offset == 9 * 11


def test_what_is_held_is_bounded_and_an_offset_is_what_the_disk_has(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    writer = Writer(path)
    most = 0
    for number in range(3000):
        writer.write({"id": str(number), "text": "x" * 100})
        most = max(most, writer.held)
    assert most < writer_module.BUFFER < part_of(path).stat().st_size
    synced: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", synced.append)
        assert writer.sync() == part_of(path).stat().st_size
    assert synced == [writer.descriptor]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
def test_an_empty_file_is_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    Writer(path).finish()
    assert unpacked(path, path.read_bytes()) == b""
    assert (path.stat().st_size > 0) == (name != "out.jsonl"), "a compressed file of no bytes is a damaged one"


def test_a_file_is_written_by_one_run_at_a_time_and_a_run_that_gives_up_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = Writer(path)
    first.write({"id": "a"})
    first.sync()
    with pytest.raises(LatxaError, match="another run is writing it"):
        Writer(path)
    assert part_of(path).read_bytes() == b'{"id":"a"}\n', "the second one has not touched it"
    first.discard()
    assert list(tmp_path.iterdir()) == []
    first.discard()
    Writer(path).close()
    assert list(tmp_path.iterdir()) == [], "nothing was written"
    second = Writer(path)
    second.begin()
    second.close()
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl.part"], "for a run that goes on"


@pytest.mark.parametrize(("number", "resumes"), [(28, True), (13, False)])
def test_a_full_disk_and_nothing_else_may_be_tried_again(
    number: int, resumes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(tmp_path / "out.jsonl")
    writer.write({"id": "a"})

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(LatxaError, match=f"cannot be written \\({os.strerror(number)}\\)") as caught:
        writer.flush()
    assert ("--resume" in caught.value.hint) == resumes


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.jsonl.zst"])
def test_compressed_bytes_are_the_same_twice(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    clock = iter((1e9, 2e9, 3e9, 4e9))
    monkeypatch.setattr("time.time", lambda: next(clock))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        writer = Writer(tmp_path / folder / name)
        writer.write({"id": "x"})
        writer.finish()
        made.append((tmp_path / folder / name).read_bytes())
    assert made[0] == made[1]


def test_what_json_cannot_hold_is_named_by_its_record(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "out.jsonl")
    with pytest.raises(LatxaError, match="the record `a7` cannot be written as JSON"):
        writer.write({"id": "a7", "value": object()})


def test_small_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["state"]
    with pytest.raises(LatxaError, match="cannot be written"):
        write_file(tmp_path / "no" / "folder" / "state", b"")


def test_a_file_is_described_by_the_hash_of_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = Writer(path)
    first.write({"n": 1})
    length = first.sync()
    first.write({"n": "what lies behind the checkpoint"})
    first.flush()
    first.close()
    again = Writer(path, length)
    again.write({"n": 2})
    again.finish()
    assert path.read_bytes() == b'{"n":1}\n{"n":2}\n'
    assert again.describe() == {"path": str(path), **fingerprint(path)}
