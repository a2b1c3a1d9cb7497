"""Writing: whole records, offsets between two of them, names given at the end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import zstandard

from latxa_cli.stream.errors import LatxaError
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
    writer.write({"id": "lost"})
    writer.sync()
    os.close(writer.descriptor)  # as a kill leaves it: the last record lies behind the checkpoint
    again = Writer(path, offset)
    for number in range(5, 8):
        again.write({"id": str(number)})
    assert not path.exists()
    again.finish()
    assert not part_of(path).exists()
    lines = unpacked(path, path.read_bytes()).splitlines()
    assert [json.loads(line)["id"] for line in lines] == list("01234567")


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.jsonl.zst"])
def test_compressed_bytes_are_the_same_twice(name: str, tmp_path: Path) -> None:
    made = []
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
