"""Broken input of every kind: one line that says where and what, and with `--rejects` the run goes on."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from contract_table import Case, cases
from workspace import Workspace, contents, is_one_error, together

BROKEN = b'{"id": "broken", "messages": 3'


@pytest.mark.parametrize("name", cases("malformed"))
def test_a_malformed_line_stops_the_run_or_is_set_aside(
    name: str, case: Case, space: Workspace, tmp_path: Path
) -> None:
    good = space.input(name).read_bytes().split(b"\n")[:-1]
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\n".join([*good[:2], BROKEN, *good[2:]]) + b"\n")
    output, rejects = tmp_path / "out", tmp_path / "rejects"
    whole, stopped, went_on = together(
        lambda: space.finished(name),
        lambda: space.run(*case.words(source), "-o", tmp_path / "stopped"),
        lambda: space.run(*case.words(source), "-o", output, "--rejects", rejects),
    )
    assert stopped.returncode == 1
    assert stopped.stderr.decode().splitlines()[-2].startswith(f"latxa: {source}:3: not JSON")
    assert is_one_error(stopped.stderr.decode(), hint=True), stopped.stderr.decode()
    assert b"--rejects" in stopped.stderr
    assert not (tmp_path / "stopped").is_file()

    assert went_on.returncode == 0, went_on.stderr.decode()
    assert contents(output) == whole.data
    entries = [json.loads(line) for line in rejects.read_bytes().splitlines()]
    (broken,) = [entry for entry in entries if entry["reason"] == "malformed"]
    assert broken["where"] == f"{source}:3" and broken["line"] == BROKEN.decode()
    entries.remove(broken)
    assert entries == [json.loads(line) for line in whole.rejects.splitlines()]
    counts = space_manifest(output)["counts"]
    assert counts["rejected"]["malformed"] == 1
    assert counts["in"] == whole.manifest["counts"]["in"] + 1
    assert b"1 malformed" in went_on.stderr


def space_manifest(output: Path) -> dict[str, dict[str, dict[str, int]]]:
    path = output / "manifest.json" if output.is_dir() else output.with_name(output.name + ".manifest.json")
    loaded: dict[str, dict[str, dict[str, int]]] = json.loads(path.read_bytes())
    return loaded


# what stands on line 2 → what is said of it
LINES = {
    "not JSON": (b"{'id': 1}", "not JSON ("),
    "half a line": (b'{"id": "a", "text": "cut', "not JSON ("),
    "not an object": (b'["id", "text"]', "the line is JSON, but not an object"),
    "a string": (b'"text"', "the line is JSON, but not an object"),
    "a missing field": (b'{"id": "a"}', "neither `text` nor `messages` is there"),
    "a wrong type": (b'{"id": "a", "text": 3}', "`text` is a number, not a string"),
    "null": (b'{"id": "a", "text": null}', "`text` is null, not a string"),
    "a wrong role": (
        b'{"id": "a", "messages": [{"role": "robot", "content": "hi"}]}',
        "the role `robot` is not `system`, `user`, `assistant` or `tool`",
    ),
    "no content": (b'{"id": "a", "messages": [{"role": "user"}]}', "the content of a `user` message is null"),
    "no messages": (b'{"id": "a", "messages": []}', "`messages` is empty"),
    "an id that is a list": (b'{"id": [1], "text": "x"}', "`id` is neither a string nor a whole number"),
    "invalid UTF-8": (b'{"id": "a", "text": "\xff"}', "invalid UTF-8 at byte 22"),
    "Latin-1": (b'{"id": "a", "text": "ma\xf1ana"}', "invalid UTF-8 at byte 24"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "this is gzip data (name the file `.gz`), not UTF-8 text"),
    "Parquet": (b"PAR1\x15\x04", "this is Parquet"),
    "UTF-16": ('{"id": "a"}'.encode("utf-16"), "this is UTF-16"),
    "UTF-16 without a mark": ('{"id": "a"}'.encode("utf-16-be"), "this is UTF-16 without a byte order mark"),
    "NaN": (b'{"id": "a", "text": "x", "score": NaN}', "not JSON (`NaN` and `Infinity` are no JSON numbers)"),
    "Infinity": (b'{"id": "a", "text": "x", "score": [-Infinity]}', "not JSON (`NaN`"),
    "NaN in a text": (b'{"id": "a", "text": "a: NaN, b"', "not JSON ("),
    "a NUL": (b'{"id": "a", "text": "x\0y"}', "a NUL at byte 23"),
    "only NULs": (b"\0\0\0", "a NUL at byte 1"),
    "a lone surrogate": (b'{"id": "a", "text": "\\ud800"}', "not JSON ("),
    "too deep": (b'{"text": "x", "metadata": ' + b"[" * 3000 + b"]" * 3000 + b"}", "not JSON ("),
    "deeper than can be written": (b'{"text": "x", "note": ' + b"[" * 600 + b"]" * 600 + b"}", "values are nested"),
    "a terminal's escape": (
        b'{"id": "a", "messages": [{"role": "\\u001b[31m", "content": ""}]}',
        "the role `\ufffd[31m`",
    ),
}
GOOD = b'{"id":"g1","text":"one good record"}\n'


@pytest.mark.parametrize("what", LINES)
def test_the_error_says_where_and_what(what: str, light: Workspace, tmp_path: Path) -> None:
    line, message = LINES[what]
    source, rejects = tmp_path / "in.jsonl", tmp_path / "rejects.jsonl"
    source.write_bytes(GOOD + line + b"\n" + GOOD.replace(b"g1", b"g2"))
    stopped = light.run("mix", f"docs={source}")
    assert (stopped.returncode, stopped.stdout) == (1, b"")
    said = stopped.stderr.decode()
    assert is_one_error(said, hint=True), said
    assert said.startswith(f"latxa: {source}:2: {message}"), said
    went_on = light.run("mix", f"docs={source}", "--rejects", rejects)
    assert went_on.returncode == 0, went_on.stderr.decode()
    assert sorted(json.loads(line)["id"] for line in went_on.stdout.splitlines()) == ["g1", "g2"]
    (reject,) = [json.loads(line) for line in rejects.read_bytes().split(b"\n")[:-1]]
    assert (reject["reason"], reject["where"]) == ("malformed", f"{source}:2")


def test_a_hundred_megabytes_on_one_line_are_refused_in_bounded_memory(light: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "long.jsonl"
    with source.open("wb") as file:
        file.write(GOOD + b'{"id": "long", "text": "')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + GOOD.replace(b"g1", b"g2"))
    limit = 900 << 20  # of address space, code and libraries included
    limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))}
    stopped = light.run("mix", f"docs={source}", **limited)
    assert stopped.returncode == 1
    assert stopped.stderr.decode().startswith(f"latxa: {source}:2: the line is longer than 64 MiB")
    went_on = light.run("mix", f"docs={source}", "--rejects", tmp_path / "rejects", **limited)
    assert went_on.returncode == 0, went_on.stderr.decode()
    assert len(went_on.stdout.splitlines()) == 2
    assert (tmp_path / "rejects").stat().st_size < 2 << 20


@pytest.mark.parametrize(
    ("what", "data", "texts"),
    [
        ("U+2028 in a string", '{"id":"a","text":"one\u2028two\u0085three"}\n'.encode(), ["one\u2028two\u0085three"]),
        ("a byte order mark", b"\xef\xbb\xbf" + GOOD, ["one good record"]),
        ("CRLF", GOOD.replace(b"\n", b"\r\n") * 2, ["one good record"] * 2),
        ("blank lines", b"\n  \n" + GOOD + b"\t\r\n\n", ["one good record"]),
        ("no newline at the end", GOOD.rstrip(b"\n"), ["one good record"]),
        ("an escaped newline and quote", b'{"text":"a\\nb\\"c"}\n', ['a\nb"c']),
    ],
)
def test_odd_but_sound_input_passes(what: str, data: bytes, texts: list[str], light: Workspace) -> None:
    unnamed = data.replace(b'"id":"g1",', b"")  # without ids, repeated records are not duplicates
    done = light.run("mix", "docs=-", stdin=unnamed)
    assert done.returncode == 0, done.stderr.decode()
    records = [json.loads(line) for line in done.stdout.split(b"\n")[:-1]]
    assert [record["text"] for record in records] == texts, what


CUT = {
    ".gz": (gzip.compress(GOOD * 1000)[:-20], "ends in the middle of its compressed data"),
    ".zst": (zstandard.ZstdCompressor().compress(GOOD * 1000)[:-10], "ends in the middle of its compressed data"),
}


@pytest.mark.parametrize("ending", CUT)
def test_a_cut_compressed_file_is_an_error(ending: str, light: Workspace, tmp_path: Path) -> None:
    data, message = CUT[ending]
    source = tmp_path / f"cut.jsonl{ending}"
    source.write_bytes(data)
    done = light.run("mix", f"docs={source}")
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"latxa: {source}: {message}"), done.stderr.decode()
    assert is_one_error(done.stderr.decode())


@pytest.mark.parametrize("ending", [".gz", ".zst", ".parquet"])
def test_what_is_not_what_its_ending_says_is_an_error(ending: str, light: Workspace, tmp_path: Path) -> None:
    source = tmp_path / f"plain.jsonl{ending}"
    source.write_bytes(GOOD)
    done = light.run("mix", f"docs={source}")
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"latxa: {source}: "), done.stderr.decode()
    assert is_one_error(done.stderr.decode()), done.stderr.decode()


def test_a_missing_file_and_a_directory_are_one_line(light: Workspace, tmp_path: Path) -> None:
    for path, what in ((tmp_path / "nowhere.jsonl", "no such file"), (tmp_path, "cannot be read (Is a directory)")):
        done = light.run("judge", path, "theirs.jsonl")
        assert done.returncode == 1
        assert done.stderr.decode().splitlines()[0] == f"latxa: {path}: {what}"
        assert is_one_error(done.stderr.decode())


# --- full disks ------------------------------------------------------------------------------------------------------


def test_a_full_device_as_stdout_is_one_line(light: Workspace) -> None:
    with Path("/dev/full").open("wb") as full:
        done = light.run(*light.words("mix"), stdout=full)
    assert done.returncode == 1
    assert "latxa: stdout: cannot be written (No space left on device)" in done.stderr.decode().splitlines()
    assert is_one_error(done.stderr.decode())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.mark.parametrize("ending", ["", ".zst"])
def test_a_full_disk_loses_nothing_that_was_done(ending: str, light: Workspace, small_disk: Path) -> None:
    source = light.more("judge", 2000)
    words = ["judge", source, "theirs.jsonl", "-o", small_disk / f"out.jsonl{ending}"]
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (160 << 10))
    full = light.run(*words)
    assert full.returncode == 1
    assert is_one_error(full.stderr.decode(), hint=True), full.stderr.decode()
    assert "No space left on device" in full.stderr.decode()
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    filler.unlink()
    resumed = light.run(*words, "--resume")
    assert resumed.returncode == 0, resumed.stderr.decode()
    expected = light.run("judge", source, "theirs.jsonl", "-o", small_disk / f"again.jsonl{ending}")
    assert expected.returncode == 0
    assert _unpacked(small_disk / f"out.jsonl{ending}") == _unpacked(small_disk / f"again.jsonl{ending}")


@pytest.mark.parametrize("limit", [100_000, 333_333])
def test_a_limit_on_file_size_loses_nothing_that_was_done(limit: int, light: Workspace, tmp_path: Path) -> None:
    """The same without root: a write that ends in the middle of a record, then an error."""
    source, output, rejects = light.more("judge", 2400), tmp_path / "out.jsonl", tmp_path / "rejects.jsonl"
    words = ["judge", source, "theirs.jsonl", "-o", output, "--rejects", rejects]
    stopped = light.run(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert stopped.returncode == 1
    assert stopped.stderr.decode().splitlines()[-1] == f"latxa: {output}: cannot be written (File too large)"
    assert not output.exists()
    resumed = light.run(*words, "--resume")
    assert resumed.returncode == 0, resumed.stderr.decode()
    assert output.read_bytes() == light.run("judge", source, "theirs.jsonl").stdout
    kept, rejected = (len(path.read_bytes().splitlines()) for path in (output, rejects))
    # 400 responses have an id that the other file lacks; some of them are about a prompt that it has.
    assert kept + rejected == 2400 and kept >= 2000


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".zst":
        return data
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
