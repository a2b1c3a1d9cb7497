"""Endings of file names: their case, what they stand for, and frames of zstandard with large windows."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
import zstandard

from latxa_cli.stream import cutting
from latxa_cli.stream.endings import (
    LARGEST_WINDOW,
    compression_of,
    compressor,
    decompressed,
    ending_of,
    window_of,
)
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import Input


@pytest.mark.parametrize(
    ("name", "ending", "compression"),
    [
        ("a.jsonl", ".jsonl", ""),
        ("A.JSONL", ".jsonl", ""),
        ("a.Jsonl.GZ", ".jsonl.gz", ".gz"),
        ("a.txt.zst", ".txt.zst", ".zst"),
        ("a.Parquet", ".parquet", ""),
        ("a.json.ZST", ".json.zst", ".zst"),
        ("a.csv", "", ""),
        ("jsonl", "", ""),
        ("a.parquet.gz", "", ".gz"),
    ],
)
def test_an_ending_is_known_in_any_case(name: str, ending: str, compression: str) -> None:
    assert (ending_of(name), compression_of(name)) == (ending, compression)


@pytest.mark.parametrize("name", ["a.gz", "a.GZ", "a.zst", "a.ZST", "a.jsonl"])
def test_what_is_compressed_is_read_again(name: str) -> None:
    pack = compressor(Path(name))
    file = io.BytesIO(b"".join(bytes(pack(data)) for data in (b"one\n", b"two\n")))
    stream = decompressed(file, name, name)
    assert b"".join(iter(lambda: stream.read(1 << 16), b"")) == b"one\ntwo\n"


def long_frame(log: int) -> bytes:
    """Return a frame that asks for a window of 2^log bytes, as a pipe through `zstd --long` makes it."""
    parameters = zstandard.ZstdCompressionParameters(window_log=log, compression_level=1, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(b'{"text": "one"}\n') + packer.flush()


def test_a_large_window_is_read_where_there_is_memory_for_it(tmp_path: Path) -> None:
    file = tmp_path / "dump.jsonl.zst"
    file.write_bytes(long_frame(28) + zstandard.compress(b'{"text": "two"}\n'))
    assert window_of(str(file)) == 1 << 28 and window_of(str(tmp_path / "none.zst")) == 0
    assert b"".join(Input(str(file)).blocks()).count(b"\n") == 2
    assert b"".join(Input(str(file), window=1 << 28).blocks()).count(b"\n") == 2
    with pytest.raises(LatxaError, match=r"dump\.jsonl\.zst: takes 268 MB of memory to decompress"):
        list(Input(str(file), window=(1 << 28) - 1).blocks())
    assert LARGEST_WINDOW == 1 << 31 and cutting.USUAL_WINDOW == 1 << 27


def test_a_large_window_behind_a_usual_one_is_seen_too(tmp_path: Path) -> None:
    file = tmp_path / "dump.jsonl.zst"
    file.write_bytes(zstandard.compress(b"{}\n") + long_frame(28))
    with pytest.raises(LatxaError, match="takes 268 MB"):
        list(Input(str(file), window=1 << 27).blocks())


def test_one_process_alone_reads_files_with_large_windows(tmp_path: Path) -> None:
    """Several that each take gigabytes would be more than `--memory`."""
    usual, large = tmp_path / "a.jsonl.zst", tmp_path / "b.jsonl.zst"
    usual.write_bytes(long_frame(27))
    large.write_bytes(long_frame(28))
    groups = cutting._groups([str(usual), str(large)], "file", 1)
    assert [way for way, _ in groups] == ["plain", "here"]


def test_a_frame_to_be_skipped_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "seekable.jsonl.zst"
    skipped = b"\x5e\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    file.write_bytes(skipped + zstandard.compress(b"{}\n") + skipped)
    assert b"".join(Input(str(file)).blocks()) == b"{}\n"


def test_a_json_array_is_read_from_files_of_every_kind(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf[\n  {"id": "a"},\n  {"id": "b"}\n]\n'
    for name, data in (("a.json", text), ("b.jsonl.gz", gzip.compress(text)), ("c.json.zst", zstandard.compress(text))):
        (tmp_path / name).write_bytes(data)
        found = [(number, line) for number, line in Input(str(tmp_path / name)).entries() if line]
        assert found == [(2, b'{"id": "a"}'), (3, b'{"id": "b"}')]
    (tmp_path / "d.txt").write_bytes(text)
    assert next(Input(str(tmp_path / "d.txt")).entries()) == (1, b"[")
