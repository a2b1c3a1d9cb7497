"""`--resume`: after a kill at any moment the output is that of an uninterrupted run; a complete one is left alone."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import pty
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard
from contract_table import CASES, Case, cases
from preloaded import Server
from tiny import Latxa
from workspace import TIMEOUT, Workspace, contents, is_one_error, remove, start, together

PIECES, PAUSE = 100, 0.03  # a slow pipe: the input comes in so many pieces, with so many seconds between them


def fed(
    space: Workspace, words: list[str], data: bytes, pieces: int = PIECES - 1, *, server: Server | None = None
) -> subprocess.Popen[bytes]:
    """Start a run and feed so many pieces of `data` into its stdin slowly, and then nothing: it waits for its kill.

    server: what forks the run, which is the installed command without it.
    """
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)  # else all may be there before a slow process begins to read
    process = start(space, *words, stdin=reading, server=server)
    os.close(reading)
    size = len(data) // PIECES + 1
    fed = [data[size * piece : size * (piece + 1)] for piece in range(pieces)]
    threading.Thread(target=_feed, args=(writing, fed, process), daemon=True).start()
    return process


def _feed(writing: int, pieces: list[bytes], process: subprocess.Popen[bytes]) -> None:
    with suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as pipe:
        for piece in pieces:
            pipe.write(piece)
            time.sleep(PAUSE)
        process.wait()


def position(output: Path) -> int:
    """Return how many outcomes the checkpoint beside `output` says are done; -1 without one."""
    try:
        return int(json.loads(output.with_name(output.name + ".part.state").read_bytes())["position"])
    except FileNotFoundError:
        return -1


def kill(process: subprocess.Popen[bytes], output: Path, beyond: int, how: int = signal.SIGKILL) -> None:
    """Kill the process a random moment after its checkpoint has gone beyond a position."""
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and position(output) <= beyond:
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.01)
    time.sleep(random.random() * 0.3)
    process.send_signal(how)
    process.communicate(timeout=TIMEOUT)


def finish(space: Workspace, *words: str, data: bytes) -> None:
    """Let a run come to its end, by the installed command."""
    done = start(space, *words, stdin=subprocess.PIPE)
    _, stderr = done.communicate(data, timeout=TIMEOUT)
    assert done.returncode == 0, stderr.decode()


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    return data


PACKED = "judge"  # the verb by which compressed outputs are tried: all that go record by record have one writer
STREAMED = [
    (name, ending)
    for name in cases("killed", model=False)
    for ending in (["", ".gz", ".zst"] if name == PACKED else [""])
]


@pytest.mark.parametrize(("name", "ending"), STREAMED)
def test_killed_and_resumed(
    name: str, ending: str, case: Case, space: Workspace, fork_server: Server, tmp_path: Path
) -> None:
    data = space.input(name).read_bytes()
    half = data.index(b"\n", len(data) // 3) + 1
    data = data[:half] + b"this line is broken\n" + data[half:]
    output, rejects = tmp_path / f"out.jsonl{ending}", tmp_path / f"rejects.jsonl{ending}"
    words = [*case.words("-"), "-o", str(output), "--rejects", str(rejects), "--resume"]
    early = fed(space, words, data)  # at any moment, the start of Python included
    time.sleep(random.random())
    early.kill()
    early.communicate(timeout=TIMEOUT)
    reached = [0]
    for pieces in (PIECES - 1,) if case.cannot_resume_midway else (PIECES // 2, PIECES - 1):
        interrupted = fed(space, words, data, pieces, server=fork_server)
        if case.cannot_resume_midway:  # no checkpoints to wait for: at any moment before the input ends
            time.sleep(0.2 + random.random())
            interrupted.kill()
            interrupted.communicate(timeout=TIMEOUT)
        else:
            kill(interrupted, output, reached[-1])
        assert not output.exists() and not output.with_name(output.name + ".manifest.json").exists()
        reached.append(position(output))
    assert case.cannot_resume_midway or reached == sorted(set(reached)), "every kill came after more work"

    finish(space, *words, data=data)
    whole = space.finished(name)
    assert unpacked(output) == whole.data
    entries = [json.loads(line) for line in unpacked(rejects).split(b"\n")[:-1]]
    assert [entry for entry in entries if entry["reason"] != "malformed"] == [
        json.loads(line) for line in whole.rejects.split(b"\n")[:-1]
    ]
    assert [entry["line"] for entry in entries if entry["reason"] == "malformed"] == ["this line is broken"]
    counts = json.loads(output.with_name(output.name + ".manifest.json").read_bytes())["counts"]
    assert counts["rejected"].pop("malformed") == 1
    assert counts | {"in": counts["in"] - 1} == whole.manifest["counts"]
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("name", [name for name in cases("killed", model=True) if not CASES[name].directory])
def test_a_model_killed_and_resumed(
    name: str, case: Case, space: Workspace, fork_server: Server, tmp_path: Path
) -> None:
    """The installed command is killed where no other test here calls it."""
    server = fork_server if name in ("sample", "translate") else None
    output, rejects = tmp_path / "out.jsonl", tmp_path / "rejects.jsonl"
    words = [*space.words(name), "-o", str(output), "--rejects", str(rejects), "--resume"]

    def interrupted() -> None:
        kill(start(space, *words, server=server), output, 0)

    whole, _ = together(lambda: space.finished(name), interrupted)
    assert output.exists() or position(output) > 0
    assert space.run(*words).returncode == 0
    assert output.read_bytes() == whole.data
    assert rejects.read_bytes() == whole.rejects
    counts = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())["counts"]
    assert counts == whole.manifest["counts"]


@pytest.mark.parametrize("name", [name for name in cases("killed", model=True) if CASES[name].directory])
def test_training_killed_and_resumed(name: str, case: Case, space: Workspace, tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = [*space.words(name), "-o", str(output), "--resume"]

    def interrupted() -> None:
        process = start(space, *words)
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None and not list(output.rglob("*checkpoint*")):
            assert time.monotonic() < deadline, "no checkpoint came"
            time.sleep(0.01)
        time.sleep(random.random() * 0.3)
        process.kill()
        process.communicate(timeout=TIMEOUT)

    whole, _ = together(lambda: space.finished(name), interrupted)
    assert not (output / "manifest.json").exists(), "the kill came too late"
    assert space.run(*words).returncode == 0
    assert contents(output) == whole.data


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_and_resumed(light: Workspace, tmp_path: Path, number: int, code: int) -> None:
    """By the user or by a cluster."""
    data, case = light.input("judge").read_bytes(), CASES["judge"]
    output = tmp_path / "out.jsonl"
    words = [*case.words("-"), "-o", str(output)]
    process = fed(light, words, data)
    while position(output) < 0:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5 + random.random() / 2)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code
    assert stderr.decode().splitlines() == ["latxa: interrupted", "hint: with `-o FILE`, `--resume` continues"]
    assert position(output) > 0, "what was done before the interruption is kept"
    finish(light, *words, "--resume", data=data)
    assert output.read_bytes() == light.finished("judge").data


@pytest.mark.parametrize("name", cases("complete"))
def test_a_complete_output_is_left_alone(name: str, case: Case, space: Workspace) -> None:
    space.finished(name)
    output, rejects = space.output(name, "whole")
    before = _stamps(output)
    words = [*space.words(name), "-o", output, "--rejects", rejects]
    again = space.run(*words, "--resume")
    assert (again.returncode, again.stdout) == (0, b""), again.stderr.decode()
    assert again.stderr.decode() == f"latxa {case.verb}: {output} is complete already\n"
    assert _stamps(output) == before

    other = space.run(*words, *_another_setting(case), "--resume")
    assert other.returncode == 2
    assert "was made with other settings" in other.stderr.decode()
    assert is_one_error(other.stderr.decode(), hint=True), other.stderr.decode()
    assert _stamps(output) == before

    for damaged in _damages(output):
        refused = space.run(*words, "--resume")
        assert refused.returncode == 2
        assert refused.stderr.decode().startswith(f"latxa: {damaged}: is not as the run that made it left it\n")
        assert is_one_error(refused.stderr.decode(), hint=True), refused.stderr.decode()
    assert _stamps(output) == before


def _damages(output: Path) -> Iterator[Path]:
    """Damage a file of a complete output in one way after the other, and make it whole again."""
    file = output
    if output.is_dir():
        files = (file for file in sorted(output.iterdir()) if file.is_file())
        file = next(file for file in files if file.suffix != ".md" and file.name != "manifest.json")
    data, status = file.read_bytes(), file.stat()
    damages = [data[: len(data) // 2], b"", data + b"\n"]
    if file == output:  # files of a directory may be large: they are known by their sizes
        damages.append(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    for damage in damages:
        file.write_bytes(damage)
        yield file
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _another_setting(case: Case) -> list[str]:
    return {
        "profile": ["--language", "cy"],
        "judge": ["--margin", "7"],
        "preferences": ["--until", "2026-03-19"],
        "publish": ["--delay", "3"],
        "export": ["--dtype", "bfloat16"],
        "merge": ["--scale", "0.25"],
        "report": ["--format", "csv"],
        "prepare": ["--chat-loss", "all"],
        "audit": ["--from", "en"],
    }.get(case.verb, ["--seed", "12"])


def _stamps(output: Path) -> Any:
    files = sorted(output.iterdir()) if output.is_dir() else [output]
    return [(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files]


@pytest.mark.parametrize("name", cases("complete", model=False))
def test_a_complete_output_of_another_input_is_a_usage_error(
    name: str, case: Case, space: Workspace, tmp_path: Path
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(space.input(name).read_bytes())
    assert space.run(*case.words(source), "-o", output).returncode == 0
    source.write_bytes(source.read_bytes() + source.read_bytes().split(b"\n")[0] + b"\n")
    changed = space.run(*case.words(source), "-o", output, "--resume")
    assert changed.returncode == 2
    assert f"its input `{source}` has changed since" in changed.stderr.decode()
    assert is_one_error(changed.stderr.decode(), hint=True)


def test_an_interrupted_run_is_not_continued_with_other_settings_or_input(light: Workspace, tmp_path: Path) -> None:
    data, case, output = light.input("judge").read_bytes(), CASES["judge"], tmp_path / "out.jsonl"
    words = [*case.words("-"), "-o", str(output), "--resume"]
    kill(fed(light, words, data), output, 0)
    done = position(output)
    other = light.run(*words, "--margin", "7", stdin=data)
    assert other.returncode == 2 and b"the interrupted run had other settings" in other.stderr
    reordered = b"\n".join(reversed(data.split(b"\n")[:-1])) + b"\n"
    moved = light.run(*words, stdin=reordered)
    assert moved.returncode == 2 and b"the interrupted run had another input" in moved.stderr
    shorter = light.run(*words, stdin=data.split(b"\n")[0] + b"\n")
    assert shorter.returncode == 2 and b"the interrupted run had another input" in shorter.stderr
    assert position(output) == done, "a refused run spoils nothing"
    assert light.run(*words, stdin=data).returncode == 0
    assert output.read_bytes() == light.finished("judge").data


def test_without_resume_a_run_starts_again(light: Workspace, tmp_path: Path) -> None:
    data, case, output = light.input("judge").read_bytes(), CASES["judge"], tmp_path / "out.jsonl"
    words = [*case.words("-"), "-o", str(output)]
    kill(fed(light, words, data), output, 0)
    assert light.run(*words, stdin=data).returncode == 0
    assert output.read_bytes() == light.finished("judge").data


def test_resume_of_a_complete_output_from_a_terminal_does_not_hang(
    light: Workspace, installed: Latxa, tmp_path: Path
) -> None:
    data, case, output = light.input("judge").read_bytes(), CASES["judge"], tmp_path / "out.jsonl"
    words = [*case.words("-"), "-o", str(output)]
    assert light.run(*words, stdin=data).returncode == 0
    master, slave = pty.openpty()
    try:
        done = installed(*words, "--resume", stdin=slave, timeout=20)
    finally:
        os.close(master)
        os.close(slave)
    assert done.returncode == 2
    assert b"stdin is a terminal" in done.stderr
    remove(output)
