"""Cutting sources into parts: however they are packed and cut, lines are the same and known by their numbers."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.stages import Work, open_executor
from latxa_cli.stream import inputs, spool
from latxa_cli.stream.cutting import Part, cut, data_of, lines_of, location, spooled_bytes
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.sources import parse_sources

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress
}  # fmt: skip


def cut_all(
    folder: Path, *arguments: str | Path, workers: int = 1, **options: Any
) -> tuple[list[Part], list[dict[str, Any]]]:
    """Cut the sources, going on with the work in `folder`."""
    with open_executor("local", workers) as executor, Work(folder / "w", {}, executor, resume=True) as work:
        return cut(parse_sources(list(map(str, arguments))), work, **options)


def lines(parts: list[Part]) -> list[bytes]:
    return [line for part in parts for _, _, line in lines_of(part)]


def documents(parts: list[Part]) -> dict[str, str]:
    found = [orjson.loads(line) for line in lines(parts) if line]
    assert all(list(document) == ["id", "text"] for document in found)
    return {document["id"]: document["text"] for document in found}


def places(parts: list[Part]) -> list[str]:
    """Where the lines are that are not blank."""
    return [location(part, row) for part in parts for row, _, line in lines_of(part) if line.strip()]


# --- plain and packed lines

PIECES = [b"\n", b"a", b"bcd", b"\xff", b"\xe2\x80\xa8", b'{"a": 1}\n', b"\r\n", b"   "]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join), st.integers(1, 30))
@settings(max_examples=40)
def test_lines_are_the_same_however_they_are_packed_and_cut(data: bytes, part_bytes: int) -> None:
    expected = data.split(b"\n")
    numbers = list(range(1, len(expected) + (expected[-1] != b"")))
    if not expected[-1]:
        expected.pop()
    sizes = []
    for ending, pack in PACK.items():
        with TemporaryDirectory() as name:
            path = Path(name, f"in.jsonl{ending}")
            path.write_bytes(raw := pack(data))
            parts, described = cut_all(Path(name), path, part_bytes=part_bytes)
            assert lines(parts) == expected
            assert b"".join(map(data_of, parts)) == data
            assert [location(part, row) for part in parts for row, *_ in lines_of(part)] == [
                f"{path}:{n}" for n in numbers
            ]
            assert described == [{"path": str(path), "bytes": len(raw), "xxh3_128": xxhash.xxh3_128_hexdigest(raw)}]
            if not ending:
                for part in parts:
                    assert all(data[place : place + len(line)] == line for _, place, line in lines_of(part))
        sizes.append([part.size for part in parts])
    assert sizes[0] == sizes[1] == sizes[2]
    assert all(size >= part_bytes for size in sizes[0][:-1])


def test_parts_are_of_the_size_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"x" * 9 + b"\n" + b"long line " * 10 + b"\n" + (b"y" * 9 + b"\n") * 20)
    parts, _ = cut_all(tmp_path, path, part_bytes=30)
    assert [(part.start, part.end) for part in parts] == [
        (0, 111),
        *((at, at + 30) for at in range(111, 291, 30)),
        (291, 311),
    ]
    assert [part.number for part in parts] == list(range(8))
    assert all(part.kind == "jsonl" and part.path == part.name == str(path) for part in parts)


@pytest.mark.parametrize("ending", PACK)
def test_a_byte_order_mark_is_no_part_of_the_first_line(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.jsonl{ending}"
    path.write_bytes(PACK[ending](b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\nthree\n"))
    parts, _ = cut_all(tmp_path, path, part_bytes=4)
    assert lines(parts) == [b"one", b"\xef\xbb\xbftwo", b"three"]
    assert places(parts) == [f"{path}:{line}" for line in (1, 2, 3)]
    if not ending:
        assert [place for part in parts for _, place, _ in lines_of(part)] == [3, 7, 14]


@pytest.mark.parametrize("ending", PACK)
def test_a_line_too_long_is_cut_and_all_others_are_in_their_places(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "LONGEST_LINE", 100)
    monkeypatch.setattr("latxa_cli.stream.cutting.CHUNK", 64)
    monkeypatch.setattr(inputs, "CHUNK", 64)
    path = tmp_path / f"in.jsonl{ending}"
    path.write_bytes(PACK[ending](b"one\n" + b"x" * 1000 + b"\nthree\n"))
    parts, _ = cut_all(tmp_path, path)
    assert [(row, place, len(line)) for part in parts for row, place, line in lines_of(part)] == [
        (0, 0, 3), (1, 4, 101), (2, 1005, 5)
    ]  # fmt: skip


def test_empty_files_give_no_part_and_are_named_in_the_manifest(tmp_path: Path) -> None:
    for ending, pack in PACK.items():
        (tmp_path / f"in.jsonl{ending}").write_bytes(pack(b""))
    (tmp_path / "mark.jsonl").write_bytes(b"\xef\xbb\xbf")
    parts, described = cut_all(tmp_path, tmp_path)
    assert parts == []
    assert [Path(entry["path"]).name for entry in described] == [
        "in.jsonl",
        "in.jsonl.gz",
        "in.jsonl.zst",
        "mark.jsonl",
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_sources_and_files_keep_their_order(workers: int, tmp_path: Path) -> None:
    for number in range(40):
        folder = tmp_path / f"source{number % 2}"
        folder.mkdir(exist_ok=True)
        ending = list(PACK)[number % 3]
        (folder / f"{number:02}.jsonl{ending}").write_bytes(PACK[ending](b"%d\n" % number * 8))
    parts, described = cut_all(tmp_path, tmp_path / "source1", tmp_path / "source0", workers=workers, part_bytes=60)
    assert lines(parts) == [b"%d" % n for start in (1, 0) for n in range(start, 40, 2) for _ in range(8)]
    assert [part.source for part in parts] == sorted(part.source for part in parts)
    assert [Path(entry["path"]).name[:2] for entry in described] == [f"{n:02}" for s in (1, 0) for n in range(s, 40, 2)]
    marks = list((tmp_path / "w" / "spool").glob("*.json"))
    assert 2 < len(marks) < 40  # small files are done together


# --- text


def text(tmp_path: Path, data: bytes | str, unit: str, ending: str = "", **options: Any) -> list[Part]:
    path = tmp_path / f"in.txt{ending}"
    path.write_bytes(PACK[ending](data if isinstance(data, bytes) else data.encode()))
    return cut_all(tmp_path, path, unit=unit, **options)[0]


POEM = "first\r\nsecond\r\n\r\n  \nthird #3\n\nlast"


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("part_bytes", [1, 50, 1000])
def test_text_by_the_line(ending: str, part_bytes: int, tmp_path: Path) -> None:
    parts = text(tmp_path, POEM, "line", ending, part_bytes=part_bytes)
    name = f"in.txt{ending}"
    assert documents(parts) == {
        f"in/{name}#1": "first", f"in/{name}#2": "second", f"in/{name}#5": "third #3", f"in/{name}#7": "last"
    }  # fmt: skip
    assert places(parts) == [f"{tmp_path}/{name}:{line}" for line in (1, 2, 5, 7)]


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("part_bytes", [1, 50, 1000])
def test_text_by_the_paragraph(ending: str, part_bytes: int, tmp_path: Path) -> None:
    parts = text(tmp_path, POEM, "blank-line", ending, part_bytes=part_bytes)
    name = f"in.txt{ending}"
    assert documents(parts) == {f"in/{name}#1": "first\nsecond", f"in/{name}#5": "third #3", f"in/{name}#7": "last"}
    assert places(parts) == [f"{tmp_path}/{name}:{line}" for line in (1, 5, 7)]


@given(st.lists(st.sampled_from(["", "a", "bc d", " "]), max_size=12))
@settings(max_examples=40)
def test_paragraphs_are_what_lies_between_blank_lines(made: list[str]) -> None:
    expected: dict[str, list[str]] = {}
    for number, line in enumerate(made, 1):
        if line.strip():
            begins = number == 1 or not made[number - 2].strip()
            expected.setdefault(f"in/in.txt#{number}", []) if begins else None
            expected[list(expected)[-1]].append(line)
    with TemporaryDirectory() as name:
        parts = text(Path(name), "\n".join(made), "blank-line")
        assert documents(parts) == {name: "\n".join(found) for name, found in expected.items()}


@pytest.mark.parametrize("part_bytes", [1, 80, 1000])
def test_text_files_are_documents_called_by_their_paths(part_bytes: int, tmp_path: Path) -> None:
    (tmp_path / "books" / "sub").mkdir(parents=True)
    texts = {
        "a.txt": "one\n\ntwo\n",
        "b.txt.gz": "\ufeffthree\r\n",
        "sub/a.txt": "four",
        "void.txt": "",
        "z#1.txt": "é",
    }
    for name, content in texts.items():
        (tmp_path / "books" / name).write_bytes(PACK[".gz" if name.endswith("gz") else ""](content.encode()))
    (tmp_path / "books" / "c.jsonl").write_bytes(b"\n" * 3)
    parts, described = cut_all(tmp_path, tmp_path / "books", part_bytes=part_bytes)
    assert documents(parts) == {
        "books/a.txt": "one\n\ntwo\n", "books/b.txt.gz": "three\n", "books/sub/a.txt": "four", "books/z#1.txt": "é"
    }  # fmt: skip
    names = ["a.txt", "b.txt.gz", "sub/a.txt", "z#1.txt"]
    assert places(parts) == [f"{tmp_path}/books/{name}:1" for name in names]
    assert [Path(entry["path"]).name for entry in described] == [
        "a.txt", "b.txt.gz", "c.jsonl", "a.txt", "void.txt", "z#1.txt"
    ]  # fmt: skip
    assert all("xxh3_128" in entry for entry in described)


@pytest.mark.parametrize("unit", ["file", "blank-line", "line"])
def test_text_that_is_not_utf8_comes_as_it_is_on_one_line(unit: str, tmp_path: Path) -> None:
    found = [line for line in lines(text(tmp_path, b"good\n\nnot\xff\ngood", unit)) if line]
    broken = {"file": b"good  not\xff good", "blank-line": b"not\xff good", "line": b"not\xff"}[unit]
    assert broken in found and sum(b"\xff" in line for line in found) == 1


def test_a_document_too_long_is_an_error_that_names_the_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (inputs, spool):
        monkeypatch.setattr(module, "LONGEST_LINE", 100)
    long = "word\nword word\n" + "word " * 10 + "\n" + "word " * 10
    for unit, at, hint in (("file", "", "blank-line` or `line`"), ("blank-line", ":1", "line`")):
        with pytest.raises(LatxaError, match=rf"in\.txt{at}: a document of more than") as caught:
            text(tmp_path, long, unit)
        assert hint in caught.value.hint
    with pytest.raises(LatxaError, match=r"in\.txt:1: a document of more than") as caught:
        text(tmp_path, "x" * 101, "line")
    assert caught.value.hint == ""
    assert len(documents(text(tmp_path, long, "line"))) == 4
    with pytest.raises(LatxaError, match=r"in\.txt:1: a document of more than"):  # it is too long as JSON
        (tmp_path / "other").mkdir()
        text(tmp_path / "other", "x" * 60 + "\0" * 10, "line")


# --- tables


def test_rows_of_a_table(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"id": str(number), "text": "é\n" * number, "n": number / 2} for number in range(20)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "in.parquet", row_group_size=7)
    parts, described = cut_all(tmp_path, tmp_path / "in.parquet", part_bytes=200)
    assert [orjson.loads(line) for line in lines(parts)] == rows
    assert len(parts) > 3
    assert places(parts) == [f"{tmp_path}/in.parquet:{number}" for number in range(1, 21)]
    raw = (tmp_path / "in.parquet").read_bytes()
    assert described[0]["bytes"] == len(raw) and described[0]["xxh3_128"] == xxhash.xxh3_128_hexdigest(raw)


def test_a_row_is_spooled_with_what_json_has_no_type_for(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"text": ["a", "b"], "image": [None, b"\xff"], "metadata": ['{"n": 1}', "{n"]})
    parquet.write_table(table, tmp_path / "in.parquet")
    parts, _ = cut_all(tmp_path, tmp_path / "in.parquet")
    assert [orjson.loads(line) for line in lines(parts)] == [
        {"text": "a", "image": None, "metadata": {"n": 1}},
        {"text": "b", "image": {"base64": "/w=="}, "metadata": "{n"},
    ]


# --- stdin and pipes


@pytest.fixture
def stdin() -> Iterator[Callable[[bytes], None]]:
    """Make `data` come from stdin."""
    before = os.dup(0)
    threads = []

    def give(data: bytes) -> None:
        reading, writing = os.pipe()
        os.dup2(reading, 0)
        os.close(reading)
        threads.append(threading.Thread(target=lambda: (os.write(writing, data), os.close(writing))))
        threads[-1].start()

    yield give
    for thread in threads:
        thread.join()
    os.dup2(before, 0)
    os.close(before)


def test_stdin_is_spooled_in_its_place(stdin: Callable[[bytes], None], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(f"{name}\n")
    stdin(b"\xef\xbb\xbfone\n\ntwo")
    parts, described = cut_all(tmp_path, tmp_path / "a.jsonl", "-", tmp_path / "b.jsonl", workers=2, part_bytes=4)
    assert lines(parts) == [b"a", b"one", b"", b"two", b"b"]
    assert places(parts)[1:3] == ["stdin:1", "stdin:3"]
    digest = xxhash.xxh3_128_hexdigest(b"\xef\xbb\xbfone\n\ntwo")
    assert described[1] == {"path": "-", "bytes": 11, "xxh3_128": digest}


def test_a_pipe_is_read_by_the_run_itself(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "b.jsonl").write_text("b\n")
    for data in (b"one\ntwo\n", b"one\ntwo\n", b"other\n"):
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
        writer.start()
        if data == b"other\n":
            with pytest.raises(UsageError, match="is no longer what the interrupted run read"):
                cut_all(tmp_path, tmp_path / "pipe", tmp_path / "b.jsonl")
        else:
            parts, described = cut_all(tmp_path, tmp_path / "pipe", tmp_path / "b.jsonl", workers=2)
            assert lines(parts) == [b"one", b"two", b"b"]
            assert described[0] == {"path": str(tmp_path / "pipe"), "bytes": 8}
        writer.join()


def test_going_on_stdin_must_be_the_same(stdin: Callable[[bytes], None], tmp_path: Path) -> None:
    stdin(b"one\ntwo\n")
    before = cut_all(tmp_path, "-")
    stdin(b"one\ntwo\n")
    assert cut_all(tmp_path, "-") == before
    for other in (b"", b"one\ntwo\nthree\n"):
        stdin(other)
        with pytest.raises(UsageError, match="stdin: is no longer what the interrupted run read"):
            cut_all(tmp_path, "-")


def test_going_on_other_units_are_cut_anew(stdin: Callable[[bytes], None], tmp_path: Path) -> None:
    for part_bytes in (1, 4):
        stdin(b"a\nb\nc\nd\n")
        assert len(cut_all(tmp_path, "-", part_bytes=part_bytes)[0]) == 4 / max(1, part_bytes / 2)


# --- going on, and what goes wrong


@pytest.mark.parametrize("ending", PACK)
def test_going_on_files_must_be_the_same(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"in.jsonl{ending}"
    path.write_bytes(PACK[ending](b"one\n"))
    before = cut_all(tmp_path, path)
    os.utime(path, (1, 1))
    assert cut_all(tmp_path, path) == before
    path.write_bytes(PACK[ending](b"two\n"))
    with pytest.raises(UsageError, match=rf"in\.jsonl{ending}: is no longer what the interrupted run read"):
        cut_all(tmp_path, path)


def test_going_on_nothing_is_spooled_twice(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(b"one\n"))
    parts, _ = cut_all(tmp_path, tmp_path / "in.jsonl.gz")
    made = Path(parts[0].path).stat().st_mtime_ns
    assert cut_all(tmp_path, tmp_path / "in.jsonl.gz")[0] == parts
    assert Path(parts[0].path).stat().st_mtime_ns == made


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst", ".txt.gz", ".parquet"])
def test_damaged_files_are_one_line(ending: str, workers: int, tmp_path: Path) -> None:
    pack = gzip.compress if ending.endswith(".gz") else PACK[".zst"]
    (tmp_path / f"in{ending}").write_bytes(pack(os.urandom(5000))[:-100])
    (tmp_path / "z.jsonl.gz").write_bytes(gzip.compress(b"one\n"))
    with pytest.raises(LatxaError) as caught:
        cut_all(tmp_path, tmp_path, workers=workers, part_bytes=1)
    what = {".jsonl.gz": "ends in the middle", ".jsonl.zst": "ends in the middle", ".txt.gz": "ends in the middle"}
    assert caught.value.message.startswith(f"{tmp_path}/in{ending}: " + what.get(ending, "is not Parquet"))


def test_what_becomes_shorter_is_never_a_short_read(tmp_path: Path) -> None:
    for ending in ("", ".gz"):
        path = tmp_path / f"in.jsonl{ending}"
        path.write_bytes(PACK[ending](b"one\ntwo\n" * 100))
        (part,), _ = cut_all(tmp_path, path)
        os.truncate(part.path, 10)
        with pytest.raises(LatxaError):
            list(lines_of(part))
        os.truncate(part.path, 0)
        with pytest.raises(LatxaError, match="has become shorter"):
            data_of(part)


def test_room_for_what_is_spooled(tmp_path: Path) -> None:
    for name, size in (("a.jsonl", 1000), ("b.jsonl.gz", 100), ("c.txt", 200), ("d.txt.zst", 100)):
        (tmp_path / name).write_bytes(b"\0" * size)
    assert spooled_bytes(parse_sources([str(tmp_path)])) == 130 + 100 + 130
    assert spooled_bytes(parse_sources([str(tmp_path / "a.jsonl")])) == 0
