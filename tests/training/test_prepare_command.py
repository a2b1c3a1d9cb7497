"""`latxa prepare`, and `latxa train` on what it made, as a user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
import tiny
from preloaded import Call, Server
from tiny import Latxa


@pytest.fixture(scope="module")
def place(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model `base`, its training data in one file and in two, one of them packed."""
    import gzip

    folder = tmp_path_factory.mktemp("place")
    (folder / "base").symlink_to(tiny_models / "base")
    data = (tiny_models / "train.jsonl").read_bytes()
    (folder / "mix.jsonl").write_bytes(data)
    (folder / "parts").mkdir()
    lines = data.splitlines(keepends=True)
    (folder / "parts" / "a.jsonl").write_bytes(b"".join(lines[:70]))
    (folder / "parts" / "b.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[70:])))
    return folder


def prepare(source: str, output: str, *more: str) -> list[str]:
    return ["prepare", source, "-m", "base", "--sequence-length", "64", "--chat-loss", "all", "-o", output, *more]


def rows(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "manifest.json"}


@pytest.fixture(scope="module")
def prepared(latxa: Latxa, place: Path) -> dict[str, bytes]:
    done = latxa(*prepare("mix.jsonl", "prepared"), cwd=place)
    assert done.returncode == 0, done.stderr.decode()
    assert "% full" in done.stderr.decode() and "% trained" in done.stderr.decode()
    return rows(place / "prepared")


def test_files_stdin_and_workers_give_the_same_rows(latxa: Latxa, place: Path, prepared: dict[str, bytes]) -> None:
    for source, more in (("parts", ("--workers", "2")), ("-", ())):
        stdin = (place / "mix.jsonl").read_bytes() if source == "-" else b""
        done = latxa(*prepare(source, f"from{source}", *more), cwd=place, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        assert rows(place / f"from{source}") == prepared
        assert not (place / f"from{source}.work").exists()


def test_killed_again_and_again_the_rows_are_the_same(
    latxa: Latxa, fork_server: Server, place: Path, prepared: dict[str, bytes]
) -> None:
    words = prepare("parts", "killed", "--resume")
    kills = 0
    for delay in (0.05, 0.1, 0.2, 0.4, 0.8):
        process = Call(fork_server, [tiny.BINARY, *words], cwd=place, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        if (place / "killed" / "manifest.json").exists():  # written last: only cleaning up is left
            assert rows(place / "killed") == prepared
    done = latxa(*words, cwd=place)
    assert done.returncode == 0 and kills, done.stderr.decode()
    assert rows(place / "killed") == prepared


def test_training_takes_what_was_prepared(
    latxa: Latxa, place: Path, prepared: dict[str, bytes], tmp_path: Path
) -> None:
    settings = ("--model", "base", "--epochs", "1", "--learning-rate", "1e-2", "--threads", "1")
    ready = latxa("train", "prepared", *settings, "-o", tmp_path / "ready", cwd=place)
    assert ready.returncode == 0, ready.stderr.decode()
    records = ("mix.jsonl", "--sequence-length", "64", "--chat-loss", "all")
    whole = latxa("train", *records, *settings, "-o", tmp_path / "whole", cwd=place)
    assert whole.returncode == 0, whole.stderr.decode()
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("ready", "whole")]
    assert weights[0] == weights[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready", "whole"], "nothing else is left"
    assert (
        json.loads((tmp_path / "ready" / "manifest.json").read_text())["sources"]
        == json.loads(prepared["prepared.json"])["sources"]
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--sequence-length", "32"), "`sequence_length` is `32`, and the data were prepared with `64`"),
        (("mix.jsonl",), "`prepared` is prepared already, and other data can't be added"),
        (("--chat-template", "mix.jsonl"), "`prepared` is prepared already, and `--chat-template` can't be added"),
        (("--fold-system",), "`fold_system` is `true`, and the data were prepared with `false`"),
        (("--model", "trained"), "the data were prepared with the tokenizer of `base`"),
    ],
)
def test_what_does_not_go_with_prepared_data(
    latxa: Latxa, place: Path, prepared: dict[str, bytes], tiny_models: Path, given: tuple[str, ...], says: str
) -> None:
    if "trained" in given:  # another tokenizer
        folder = place / "trained"
        if not folder.exists():
            made = latxa(
                "init", tiny_models / "config.json", "mix.jsonl", "--vocabulary-size", "300", "-o", folder, cwd=place
            )
            assert made.returncode == 0, made.stderr.decode()
    model = () if "--model" in given else ("--model", "base")
    done = latxa("train", "prepared", *given, *model, "-o", "never", cwd=place)
    line = done.stderr.decode().splitlines()[0]
    assert done.returncode in (1, 2) and line.startswith("latxa: ") and says in line, done.stderr.decode()
    assert not (place / "never" / "model.safetensors").exists()


def test_what_is_learnt_is_shown_in_brackets(latxa: Latxa, place: Path) -> None:
    words = ["prepare", "mix.jsonl", "-m", "base", "--sequence-length", "64", "-o", "shown", "--show", "1"]
    done = latxa(*words, cwd=place)
    (shown,) = [line for line in done.stderr.decode().splitlines() if "<|user|>" in line]
    assert shown.count("⟦") == shown.count("⟧") == 1 and shown.endswith("<|end_of_turn|>⟧")


def test_a_dry_run_leaves_nothing(latxa: Latxa, place: Path) -> None:
    before = sorted(path.name for path in place.iterdir())
    done = latxa(
        "train", "mix.jsonl", "--model", "base", "--sequence-length", "64", "--dry-run", "-o", "dry", cwd=place
    )
    assert done.returncode == 0 and "tokens/s" in done.stderr.decode()
    assert sorted(path.name for path in place.iterdir()) == before


@pytest.mark.parametrize("value", ["user", "en=user", "=all"])
def test_a_loss_that_is_none(latxa: Latxa, place: Path, value: str) -> None:
    done = latxa("prepare", "mix.jsonl", "-m", "base", "--chat-loss", value, "-o", "never", cwd=place)
    assert done.returncode == 2 and f"`--chat-loss {value}`" in done.stderr.decode().splitlines()[0]


@pytest.mark.parametrize("verb", ["prepare", "train"])
def test_rejects_are_there_where_they_end_the_run(
    latxa: Latxa, place: Path, prepared: dict[str, bytes], tmp_path: Path, verb: str
) -> None:
    """A source loses all its conversations, or none of any source is left."""
    tiny.write_jsonl(tmp_path / "no.jsonl", [{"id": "q", "messages": [{"role": "user", "content": "old"}]}])
    made = tmp_path / "made"
    words = (verb, tmp_path / "no.jsonl", "-m", "base", "--sequence-length", "64", "-o", made)
    done = latxa(*words, "--rejects", tmp_path / "rejects", cwd=place)
    assert done.returncode == 1
    said, hint = done.stderr.decode().splitlines()
    assert said.startswith(
        "latxa: no conversation without a `source` is left, of 1: nothing of it is trained (the first"
    )
    assert hint == "hint: mend them, or leave them out"
    (entry,) = map(json.loads, (tmp_path / "rejects").read_text().splitlines())
    assert entry["reason"] == "nothing of it is trained" and entry["record"]["id"] == "q"
    again = latxa(*words, "--rejects", tmp_path / "rejects", "--resume", cwd=place)
    assert again.stderr == done.stderr and len((tmp_path / "rejects").read_text().splitlines()) == 1
    shown = latxa(*words, cwd=place).stderr.decode()
    assert shown.endswith("hint: mend them, or leave them out; `--rejects FILE` holds each with its reason\n")


def test_only_malformed_lines_are_rejects_too(latxa: Latxa, place: Path, tmp_path: Path) -> None:
    (tmp_path / "no.jsonl").write_text('{"id": "q", "messages": []}\n')
    words = ("prepare", tmp_path / "no.jsonl", "-m", "base", "-o", tmp_path / "made", "--sequence-length", "64")
    done = latxa(*words, "--rejects", tmp_path / "rejects", cwd=place)
    assert done.stderr.decode() == "latxa: none of the 1 records can be used: 1 malformed\n"
    (entry,) = map(json.loads, (tmp_path / "rejects").read_text().splitlines())
    assert entry["detail"] == "`messages` is empty"


def test_folders_that_do_not_go_together_are_named(latxa: Latxa, place: Path, prepared: dict[str, bytes]) -> None:
    made = latxa(*prepare("mix.jsonl", "folded", "--fold-system"), cwd=place)
    assert made.returncode == 0, made.stderr.decode()
    (place / "half").mkdir()
    (place / "half" / "ids-00000.bin").write_bytes(b"")
    lines = {
        ("prepared", "folded"): "`folded` was prepared with another fold system than `prepared`",
        (
            "half",
        ): "`half` is not what `latxa prepare` makes, or not whole\nhint: `latxa prepare … --resume` completes it",
    }
    for folders, says in lines.items():
        done = latxa("train", *folders, "--model", "base", "-o", "none", cwd=place)
        assert done.returncode and says in done.stderr.decode()


def test_files_without_records_are_named(latxa: Latxa, place: Path, prepared: dict[str, bytes]) -> None:
    (place / "empty.jsonl").write_text("")
    done = latxa("prepare", "empty.jsonl", "-m", "base", "--sequence-length", "64", "-o", "none", cwd=place)
    assert done.stderr.decode().startswith("latxa: empty.jsonl: no records are there\n")
    words = ("train", "prepared", "-m", "base", "--val", "eu=empty.jsonl", "-o", "none")
    assert "latxa: empty.jsonl: no records are there" in latxa(*words, cwd=place).stderr.decode()


def test_no_hint_leads_back(latxa: Latxa, place: Path, prepared: dict[str, bytes], tmp_path: Path) -> None:
    """A folder that is there is refused without `--resume`; another rate of learning is another run."""
    other = latxa("train", "prepared", "-m", "base", "-o", "prepared", cwd=place).stderr.decode()
    assert "`latxa train` did not make it\nhint: remove it, or name another\n" in other
    done = latxa(*prepare("mix.jsonl", "prepared", "--resume", "--fold-system"), cwd=place)
    assert done.returncode == 2 and done.stderr.decode().endswith("hint: remove it, or choose another `-o`\n")
    words = ("train", "prepared", "-m", "base", "--max-steps", "3", "--learning-rate", "1e30", "--threads", "1")
    lost = latxa(*words, "-o", tmp_path / "lost", cwd=place)
    assert lost.returncode == 1 and "hint: a new run with a smaller `--learning-rate`" in lost.stderr.decode()
    assert "--resume" not in lost.stderr.decode()
