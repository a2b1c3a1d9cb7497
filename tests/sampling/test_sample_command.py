"""`latxa sample` as a user runs it, with a tiny model."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
from preloaded import Call, Server
from tiny import Latxa

LAX = ("--max-tokens", "16", "--skip", "beginning", "--skip", "short", "--skip", "near")


def magpie(models: Path, *more: str | Path) -> list[str | Path]:
    return ["sample", "-m", models / "trained", "-n", "400", *LAX, *more]


def records(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


@pytest.fixture(scope="module")
def whole(latxa: Latxa, tiny_models: Path) -> bytes:
    done = latxa(*magpie(tiny_models))
    assert done.returncode == 0, done.stderr.decode()
    assert len(tiny.checked_conversations(done.stdout)) > 100
    return done.stdout


def test_take_stops_when_enough_are_kept(latxa: Latxa, tiny_models: Path, whole: bytes, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    done = latxa(*magpie(tiny_models, "--take", "20", "--manifest", manifest))
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"".join(whole.splitlines(keepends=True)[:20]), "fewer are a part of more"
    counts = json.loads(manifest.read_text())["counts"]
    last = records(done.stdout)[-1]["metadata"]["draw"]
    assert counts["out"] == 20 and counts["in"] == last + 1 == 20 + sum(counts["rejected"].values())


def test_take_of_shards(latxa: Latxa, tiny_models: Path) -> None:
    counts = [
        latxa(*magpie(tiny_models, "--take", "21", "--shard", f"{index}/2")).stdout.count(b"\n") for index in range(2)
    ]
    assert counts == [11, 10]


def test_a_killed_run_goes_on_until_enough_are_kept(
    latxa: Latxa, fork_server: Server, tiny_models: Path, whole: bytes, tmp_path: Path
) -> None:
    words = magpie(tiny_models, "--take", "60", "--batch-size", "4", "-o", tmp_path / "out.jsonl", "--resume")
    process = Call(fork_server, [tiny.BINARY, *words], stderr=subprocess.DEVNULL)
    part = tmp_path / "out.jsonl.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 4000):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out.jsonl").exists(), "killed in the middle of its work"
    done = latxa(*words)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(whole.splitlines(keepends=True)[:60])


def test_a_second_run_leaves_the_first_alone(
    latxa: Latxa, fork_server: Server, tiny_models: Path, whole: bytes, tmp_path: Path
) -> None:
    words = magpie(tiny_models, "-o", tmp_path / "out.jsonl", "--resume")
    part = tmp_path / "out.jsonl.part"
    first = Call(fork_server, [tiny.BINARY, *words], stderr=subprocess.PIPE)
    while first.poll() is None and not (part.exists() and part.stat().st_size > 4000):
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # it waits in the middle of its work
    second, dry = latxa(*words), latxa(*words, "--dry-run")
    for other in (second, dry):
        assert other.returncode == 1 and b"another run is writing it" in other.stderr
    first.send_signal(signal.SIGCONT)
    assert first.wait() == 0 and (tmp_path / "out.jsonl").read_bytes() == whole


def test_tags_and_what_means_the_same(latxa: Latxa, tiny_models: Path, whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "length.toml").write_text('question = "How long is it?"\nlabels = ["the", "old"]\nunfit = ["old"]\n')
    with_tags = [*magpie(tiny_models, "--take", "30", "--tag", tmp_path / "length.toml", "--skip", "length")]
    found = records(latxa(*with_tags).stdout)
    assert len(found) == 30 and {record["metadata"]["tags"]["length"] for record in found} <= {"the", "old", None}
    assert [record["messages"] for record in found] == [record["messages"] for record in records(whole)[:30]]
    rejects = tmp_path / "rejects.jsonl"
    fewer = latxa(
        *magpie(tiny_models, "--embedder", tiny_models / "trained", "--similarity", "0.9", "--rejects", rejects)
    )
    assert fewer.returncode == 0, fewer.stderr.decode()
    reasons = {json.loads(line)["reason"] for line in rejects.read_text().splitlines()}
    assert "instruction that means the same" in reasons
    assert 0 < fewer.stdout.count(b"\n") < whole.count(b"\n")


def test_lines_of_a_text_are_prompts(latxa: Latxa, tiny_models: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text('old storm\r\n\n  {"prompt": warm} \nquiet sailors', encoding="utf-8")
    words = ("respond", "-m", tiny_models / "trained", "--max-tokens", "8")
    done = latxa(*words, tmp_path / "prompts.txt")
    assert done.returncode == 0, done.stderr.decode()
    asked = [record["messages"][0]["content"] for record in records(done.stdout)]
    assert asked == ["old storm", '{"prompt": warm}', "quiet sailors"]
    (tmp_path / "bad.txt").write_bytes(b"old\nst\xfform\n")
    done = latxa(*words, tmp_path / "bad.txt")
    assert done.returncode == 1 and b"bad.txt:2: invalid UTF-8 at byte 3" in done.stderr


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--thinking", "off"), "`--thinking`: the chat template of"),
        (("--embedder", "none"), "there is no directory `none`"),
        (("--tag", "qualty"), "there is no tag `qualty`"),
        (("--skip", "quality"), "there is no filter `quality`"),
        (("--embedder", "trained", "--skip", "duplicate"), "`--embedder` finds repeats"),
        (("--similarity", "0.5"), "`--similarity` needs `--embedder`"),
        (("--temperature", "inf"), "invalid value for '--temperature'"),
        (("--seed", "99999999999999999999999"), "invalid value for '--seed'"),
        (("--max-tokens", "99999999999999999999"), "invalid value for '--max-tokens'"),
    ],
)
def test_wrong_usage_is_one_line(latxa: Latxa, tiny_models: Path, given: tuple[str, ...], says: str) -> None:
    done = latxa("sample", "-m", "trained", "-n", "2", *given, cwd=tiny_models)
    lines = done.stderr.decode().splitlines()
    assert done.returncode in (1, 2) and lines[0].startswith("latxa: ") and says in lines[0], lines
    assert len(lines) <= 2 and not done.stdout


def test_a_dry_run_asks_once_for_each_task(latxa: Latxa, tiny_models: Path) -> None:
    five = [word for name in ("general", "code", "math", "arithmetic", "translation") for word in ("--task", name)]
    done = latxa(*magpie(tiny_models, "--dry-run", *five))
    assert done.returncode == 0 and not done.stdout
    told = done.stderr.decode()
    assert "dry run: 5 records" in told and all(f'"task":"{name}"' in told for name in five[1::2])
