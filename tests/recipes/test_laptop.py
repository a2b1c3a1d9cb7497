"""`recipes/laptop.sh`, run as its guide says, on a tiny chat model and text of an invented island in Basque."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import papers
import pytest
import tiny
from tiny import Latxa

RECIPE = papers.ROOT / "recipes" / "laptop.sh"
GUIDE = RECIPE.with_suffix(".md")
WORLD = papers.ROOT / "recipes" / "quickstart" / "world.py"
SMALL = ("--tokens", "20000", "--draws", "60", "--held-out", "12", "--epochs", "1")
Recipe = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def island(tmp_path_factory: pytest.TempPathFactory, latxa: Latxa) -> Path:
    """A folder with `corpus.jsonl`, `english.jsonl`, `my_chats.jsonl`, and `instruct`, a model that has seen chats."""
    folder = tmp_path_factory.mktemp("island")
    subprocess.run([sys.executable, WORLD, folder / "data"], check=True)
    pages = {}
    for language, name in (("eu", "corpus_eu_raw"), ("en", "corpus_en")):
        lines = (folder / "data" / f"{name}.jsonl").read_bytes().split(b"\n")
        pages[language] = [line for line in lines if b'"text"' in line and line.endswith(b"}")]
    (folder / "corpus.jsonl").write_bytes(b"\n".join(pages["eu"][:400]) + b"\n")
    (folder / "english.jsonl").write_bytes(b"\n".join(pages["en"][:10]) + b"\n")
    chats = (folder / "data" / "instructions_en.jsonl").read_bytes().split(b"\n")[:-1]
    (folder / "my_chats.jsonl").write_bytes(b"\n".join(chats[:200]) + b"\n")
    (folder / "questions.txt").write_text("Where is Lanbro?\n")
    (folder / "config.json").write_text(json.dumps(tiny.CONFIG | {"max_position_embeddings": 2048}))
    for words in (
        ("init", "config.json", "my_chats.jsonl", "corpus.jsonl", "--vocabulary-size", "600", "-o", "base"),
        ("train", "my_chats.jsonl", "--model", "base", "--chat-loss", "all", "--learning-rate", "1e-2", "--epochs", "8",
         "--sequence-length", "256", "-o", "instruct"),
    ):  # fmt: skip
        made = latxa(*words, cwd=folder)
        assert made.returncode == 0, made.stderr.decode()
    return folder


@pytest.fixture
def recipe(shell_environment: dict[str, str], island: Path) -> Recipe:
    """`recipe(*words)` runs the recipe in the island's folder."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(RECIPE), *map(str, words)], cwd=island, env=shell_environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_it_ends_with_what_is_learnt_and_kept(recipe: Recipe, island: Path) -> None:
    words = (*SMALL, "--keep", "en=english.jsonl", "--into", "done", "instruct", "eu", "corpus.jsonl")
    done = recipe(*words)
    assert done.returncode == 0, done.stderr
    folder = island / "done"
    results = {
        (one["model"], one["task"]): one["value"] for one in records(folder / "results" / "results.jsonl")
        if one["metric"] == "bits_per_byte"
    }  # fmt: skip
    assert set(results) == {(model, task) for model in ("instruct", "instruct-eu") for task in ("eu", "en", "chats")}
    assert results["instruct-eu", "eu"] < results["instruct", "eu"] - 0.1
    verdicts = {one.get("task"): one["verdict"] for one in records(folder / "results" / "comparison.jsonl")}
    assert verdicts["eu"] == "better"
    assert "bits_per_byte" in done.stdout and "better" in done.stdout
    held_out = {one["text"] for one in records(folder / "text" / "held_out.jsonl")}
    trained = records(folder / "text" / "mix.jsonl")
    assert len(held_out) == 12 and not held_out & {one.get("text") for one in trained}
    assert {one["source"].partition("/")[0] for one in trained} == {"documents", "chats"}
    assert re.search(r"time: [\d,]+ s at ", done.stderr) and "GiB at the peak" in done.stderr
    before = files(folder)
    again = recipe(*words)
    assert (again.returncode, again.stdout) == (0, done.stdout), again.stderr
    assert files(folder) == before


def test_a_killed_run_continues_to_the_same_end(recipe: Recipe, island: Path) -> None:
    settings = (papers.ROOT / "recipes" / "train" / "laptop.toml").read_text()
    (island / "often.toml").write_text(settings.replace("checkpoint_every = 50", "checkpoint_every = 3"))
    words = [*SMALL, "--chats", "en=my_chats.jsonl", "--config", "often.toml", "instruct", "eu", "corpus.jsonl"]
    whole = recipe("--into", "whole", *words)
    assert whole.returncode == 0, whole.stderr
    killed = subprocess.Popen(
        [str(RECIPE), "--into", "killed", *words], cwd=island, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
        env=os.environ | {"PATH": f"{tiny.BINARY.parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    until = time.monotonic() + 120
    while not list(island.glob("killed/models/instruct-eu/checkpoints/step-*")) and time.monotonic() < until:
        assert killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (island / "killed" / "results" / "results.jsonl").exists()
    again = recipe("--into", "killed", *words)
    assert again.returncode == 0, again.stderr
    for name in ("results.jsonl", "comparison.jsonl", "answers.jsonl"):
        one, other = ((island / run / "results" / name).read_bytes() for run in ("whole", "killed"))
        assert one == other


def test_much_is_not_done_unasked(recipe: Recipe, island: Path) -> None:
    words = ("--into", "shown", "instruct", "eu", "corpus.jsonl")
    shown = recipe(*SMALL, "--dry-run", *words)
    assert shown.returncode == 0, shown.stderr
    assert "time: " in shown.stderr and "would take at most" in shown.stderr
    refused = recipe(*SMALL, "--draws", "10000000", *words)
    assert refused.returncode == 2
    assert re.search(r"laptop: this takes some \d+ minutes: `--yes` does it", refused.stderr)
    assert {path.name for path in (island / "shown").rglob("*") if path.is_file()} == {
        "corpus.jsonl", "corpus.jsonl.manifest.json", "rejects.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "recipes/laptop.sh [FLAG …] MODEL LANGUAGE FILE …"),
        (("instruct", "eu"), 2, "recipes/laptop.sh [FLAG …] MODEL LANGUAGE FILE …"),
        (("--chat", "x=y", "instruct", "eu", "corpus.jsonl"), 2, "recipes/laptop.sh [FLAG …] MODEL LANGUAGE FILE …"),
        (("--chats", "my_chats.jsonl", "instruct", "eu", "corpus.jsonl"), 2, "`my_chats.jsonl` is not NAME=FILE"),
        (("instruct", "eu", "nowhere.jsonl"), 1, "nowhere.jsonl"),
        (("nowhere", "eu", "corpus.jsonl"), 1, "`nowhere`"),
        (("--held-out", "5000", "instruct", "eu", "corpus.jsonl"), 1, "of which 5,000 are to be held out"),
        (("plain", "eu", "corpus.jsonl"), 1, "has no chat template"),
    ],
)
def test_what_cannot_be_is_said(
    words: tuple[str, ...], code: int, said: str, recipe: Recipe, island: Path, tmp_path: Path
) -> None:
    if "plain" in words and not (island / "plain").exists():
        shutil.copytree(island / "instruct", island / "plain")
        (island / "plain" / "chat_template.jinja").unlink()
    done = recipe("--into", tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("models/*"))


def test_the_commands_of_the_guide(island: Path, shell_environment: dict[str, str], tmp_path: Path) -> None:
    for name in ("corpus.jsonl", "english.jsonl", "my_chats.jsonl", "questions.txt", "instruct"):
        (tmp_path / name).symlink_to(island / name)
    (tmp_path / "recipes").symlink_to(papers.ROOT / "recipes")
    for block in papers.blocks(GUIDE, papers.RUN):
        done = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{block}"], cwd=tmp_path, env=shell_environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    sources = [one["source"].partition("/")[0] for one in records(tmp_path / "mine" / "text" / "mix.jsonl")]
    assert sources.count("en") == 195, "chats of one's own take the place of the model's"
    assert not (tmp_path / "mine" / "text" / "chats.jsonl").exists()


def test_shellcheck_finds_nothing() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("`shellcheck` is not installed")
    checked = subprocess.run(["shellcheck", RECIPE], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")
