"""Files, pipes and terminals: what goes in and comes out of every verb."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
import zstandard
from contract_table import CASES, Case, cases
from tiny import Latxa
from workspace import TIMEOUT, Workspace, contents, is_one_error, start, together


def lines(data: bytes) -> list[bytes]:
    return data.split(b"\n")[:-1]


@pytest.mark.parametrize("name", [name for name in cases("pipe") if not CASES[name].directory])
def test_file_stdin_and_output_give_the_same_bytes(name: str, case: Case, space: Workspace) -> None:
    data = space.input(name).read_bytes()
    piped = lambda: space.run(*case.words(None if case.stdin_is_default else "-"), stdin=data)  # noqa: E731
    whole, done = together(lambda: space.finished(name), piped)
    assert (done.returncode, done.stdout) == (0, whole.data)
    if not case.model:
        assert space.run(*case.words("-"), stdin=data).stdout == whole.data
        assert space.run(*space.words(name)).stdout == whole.data
    # stdout is JSONL, whole lines, and nothing else; what is said is said on stderr.
    assert done.stdout.endswith(b"\n")
    assert all(type(json.loads(line)) is dict for line in lines(done.stdout))
    said = done.stderr.decode().splitlines()
    assert said and all(line.startswith(f"latxa {case.verb}: ") for line in said), said


@pytest.mark.parametrize("name", [name for name in cases("pipe") if CASES[name].directory])
def test_a_directory_is_the_same_from_a_file_and_from_a_pipe(name: str, case: Case, space: Workspace) -> None:
    data, (output, _) = space.input(name).read_bytes(), space.output(name, "piped")
    piped = lambda: space.run(*case.words(None), "-o", output, stdin=data)  # noqa: E731
    whole, done = together(lambda: space.finished(name), piped)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    assert contents(output) == whole.data


@pytest.mark.parametrize("name", [name for name in CASES if name not in cases("killed") and not CASES[name].serves])
def test_the_installed_command_makes_the_same(
    name: str, installed: Latxa, case: Case, space: Workspace, tmp_path: Path
) -> None:
    """Those of the point `killed` are called by it there, and compared too."""
    output = tmp_path / "out"
    made = lambda: installed(*space.words(name), "-o", output, cwd=space.folder, timeout=TIMEOUT)  # noqa: E731
    whole, done = together(lambda: space.finished(name), made)
    assert done.returncode == 0, done.stderr.decode()
    assert contents(output) == whole.data
    manifest, whole_manifest = space.collect(output, tmp_path / "none").manifest, dict(whole.manifest)
    for of_time in ("started", "seconds", "argv"):
        assert manifest.pop(of_time) and of_time in whole.manifest
    outputs = [[entry | {"path": ""} for entry in found.pop("outputs")] for found in (manifest, whole_manifest)]
    assert outputs[0] == outputs[1]
    assert manifest == {key: whole_manifest[key] for key in manifest}
    assert len(done.stderr.splitlines()) == len(whole.stderr.splitlines())


@pytest.mark.parametrize("name", cases("packed"))
def test_compressed_files_and_parquet_hold_the_same_records(
    name: str, case: Case, space: Workspace, tmp_path: Path
) -> None:
    data, whole = space.input(name).read_bytes(), space.finished(name)
    for ending, pack, unpack in (
        (".gz", gzip.compress, gzip.decompress),
        (".zst", zstandard.ZstdCompressor().compress, _unpack_zstandard),
    ):
        source, output = tmp_path / f"in.jsonl{ending}", tmp_path / f"out.jsonl{ending}"
        half = len(data) // 2
        source.write_bytes(pack(data[:half]) + pack(data[half:]))  # two members, two frames
        done = space.run(*case.words(source), "-o", output)
        assert done.returncode == 0, done.stderr.decode()
        assert unpack(output.read_bytes()) == whole.data
    assert space.run(*case.words(_parquet(data, tmp_path))).stdout == whole.data


def _unpack_zstandard(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()


def _parquet(data: bytes, folder: Path) -> Path:
    import pyarrow
    import pyarrow.parquet

    path = folder / "in.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([json.loads(line) for line in lines(data)]), path)
    return path


@pytest.mark.parametrize("name", cases("closed", model=False))
def test_a_closed_reader_is_success(name: str, case: Case, space: Workspace) -> None:
    process = start(space, *case.words(space.more(name, 2000)))
    assert process.stdout is not None
    if not case.cannot_resume_midway:  # the others have a line or two for all their input
        assert process.stdout.readline().endswith(b"\n")
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read().decode()
    assert process.wait(TIMEOUT) == 0
    assert all(line.startswith(f"latxa {case.verb}: ") for line in stderr.splitlines()), stderr


def test_sample_piped_into_translate_piped_into_head(heavy: Workspace) -> None:
    sample, translate = CASES["sample"].words(None), CASES["translate"].words(None)
    script = f"latxa {' '.join(sample)} | latxa {' '.join(translate)} | head -n 1; echo ${{PIPESTATUS[@]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=heavy.folder, env=_with_latxa(), capture_output=True, timeout=TIMEOUT, check=False
    )
    record, statuses = done.stdout.decode().splitlines()
    assert statuses == "0 0 0"
    assert {message["role"] for message in json.loads(record)["messages"]} == {"user", "assistant"}
    assert all(line.startswith(("latxa sample: ", "latxa translate: ")) for line in done.stderr.decode().splitlines())


def _with_latxa() -> dict[str, str]:
    from tiny import BINARY

    return os.environ | {"PATH": f"{BINARY.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("name", cases("empty"))
def test_nothing_in_nothing_out(name: str, case: Case, space: Workspace) -> None:
    done = space.run(*case.words(None if case.stdin_is_default else "-"), stdin=b"")
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()


@pytest.mark.parametrize("name", cases("terminal"))
def test_a_terminal_as_stdin_is_a_usage_error(name: str, case: Case, space: Workspace, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    try:
        words = [*case.words(None if case.stdin_is_default else "-"), "-o", str(tmp_path / "out")]
        done = space.run(*words, stdin=slave)
    finally:
        os.close(master)
        os.close(slave)
    assert (done.returncode, done.stdout) == (2, b"")
    assert is_one_error(done.stderr.decode(), hint=True), done.stderr.decode()
    assert b"stdin is a terminal" in done.stderr


@pytest.mark.parametrize("name", cases("quiet", model=False))
def test_quiet_says_nothing(name: str, case: Case, space: Workspace) -> None:
    done = space.run(*space.words(name), "-q")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == space.finished(name).data


@pytest.mark.parametrize("name", cases("shards"))
def test_shards_joined_hold_what_one_run_does(name: str, case: Case, space: Workspace) -> None:
    def shard(index: int) -> Any:
        return space.run(*space.words(name), "--shard", f"{index}/2", *quiet)

    quiet = ["-q"] if case.model else []
    whole, even, odd = together(lambda: space.finished(name), lambda: shard(0), lambda: shard(1))
    for part in (even, odd):
        assert part.returncode == 0, part.stderr.decode()
        assert part.stdout
        assert not quiet or part.stderr == b""
    assert sorted(lines(even.stdout) + lines(odd.stdout)) == sorted(lines(whole.data))
    assert not set(lines(even.stdout)) & set(lines(odd.stdout))
