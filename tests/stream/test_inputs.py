"""Opening inputs: lines, compression, hashes."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.stream import inputs
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import Input, check_exists, fingerprint


@given(st.lists(st.binary(max_size=12).map(lambda piece: piece.replace(b"x", b"\n")), max_size=12))
def test_lines_are_the_same_however_the_pipe_cuts_them(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    lines = list(inputs.numbered_lines(pieces, offset=7))
    assert [line for _, _, line in lines] == expected
    assert [row for row, _, _ in lines] == list(range(len(expected)))
    assert all(whole[place - 7 :].startswith(line) for _, place, line in lines)


def test_a_long_line_is_cut_and_the_next_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "LONGEST_LINE", 100)
    pieces = [b"a" * 60] * 50 + [b"\nnext\n"]
    first, second = inputs.numbered_lines(pieces)
    assert len(first[2]) == 101 and second == (1, 3001, b"next")


@given(st.binary(max_size=400), st.integers(1, 5))
@settings(max_examples=40)
def test_frames_and_members_join(data: bytes, count: int) -> None:
    from tempfile import TemporaryDirectory

    size = len(data) // count + 1
    parts = [data[place : place + size] for place in range(0, len(data), size)]
    with TemporaryDirectory() as folder:
        for ending, pack in ((".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress)):
            path = Path(folder) / f"in{ending}"
            path.write_bytes(b"".join(map(pack, parts)))
            assert b"".join(Input(str(path)).blocks()) == data


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_file_cut_anywhere_is_an_error_and_never_a_short_read(ending: str, tmp_path: Path) -> None:
    data = os.urandom(300)
    packed = gzip.compress(data) if ending == ".gz" else zstandard.ZstdCompressor().compress(data)
    path = tmp_path / f"cut{ending}"
    for length in range(1, len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(LatxaError):
            list(Input(str(path)).entries())


def test_what_was_read_is_described_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"one\ntwo\n")
    source = Input(str(path))
    assert list(source.entries()) == [(1, b"one"), (2, b"two")]
    told = {"bytes": 8, "xxh3_128": xxhash.xxh3_128(b"one\ntwo\n").hexdigest()}
    assert source.describe() == {"path": str(path), **told}
    assert fingerprint(path) == told


def test_a_line_is_handed_on_before_the_pipe_ends() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, False)
    hashed = inputs.HashedFile(reading)
    os.write(writing, b"one\nhalf a li")
    lines = inputs.numbered_lines(iter(hashed.read, b""))
    assert next(lines) == (0, 0, b"one")
    threading.Timer(0.05, lambda: (os.write(writing, b"ne\n"), os.close(writing))).start()
    assert list(lines) == [(1, 4, b"half a line")]
    os.close(reading)


def test_a_directory_has_a_fingerprint_that_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"a" * 10)
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    (tmp_path / "weights").write_bytes(b"b" * 10)
    assert fingerprint(tmp_path) != before
    assert fingerprint(tmp_path / "nothing") == {}


def test_a_missing_file_is_told_before_any_work() -> None:
    with pytest.raises(LatxaError, match="no such file"):
        check_exists("/nowhere/in.jsonl")
