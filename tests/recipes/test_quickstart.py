"""The quickstart, run as a user runs it, on real engines: it ends with the table, and its second run changes nothing.

Its `latxa` is loaded already, which halves what it costs. It takes minutes where `quickstart/` is not there yet; what
stands there is used. Then the commands of the README and of the guides, and `latxa sample | latxa translate | head`,
run on the models that it left.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import papers
import pytest
from chromium import BROWSER, chromium
from poll_server import serving, votes_in
from tiny import Latxa

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "quickstart"
Bash = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def bash(shell_environment: dict[str, str]) -> Bash:
    """`bash(script, cwd, timeout=…)` runs a script as a pipeline whose every part must succeed."""

    def run(script: str, cwd: Path, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{script}"],
            cwd=cwd, env=shell_environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def first(bash: Bash) -> subprocess.CompletedProcess[str]:
    return bash("recipes/quickstart.sh", REPOSITORY, timeout=1800)


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text().splitlines()]


def files() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*") if path.is_file()}


def test_it_ends_with_the_table(first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stderr
    assert "Traceback" not in first.stderr
    table, _, notes = first.stdout.partition("\n\n")
    rows = [line.split()[0] for line in table.splitlines()]
    assert rows[0] == "model" and sorted(rows[1:]) == ["base_eu", "exp_2_111", "instruct_en"]
    assert notes == "[a] plain prompts, others through a chat template\n"


@pytest.mark.usefixtures("first")
def test_the_second_run_changes_nothing(bash: Bash) -> None:
    before = files()
    again = bash("recipes/quickstart.sh", REPOSITORY)
    assert again.returncode == 0, again.stderr
    assert files() == before


@pytest.mark.usefixtures("first")
def test_every_stage_did_its_work() -> None:
    rejected = {record["reason"] for record in records("text/rejects.jsonl")}
    assert {"malformed", "exact duplicate", "wrong language", "too short"} <= rejected
    english = {record["id"]: record for record in records("text/en.jsonl")}
    basque = records("text/eu.jsonl")
    assert len(basque) > 0.5 * len(english)
    for record in basque:
        source = english[record["id"]]
        assert [turn["role"] for turn in record["messages"]] == [turn["role"] for turn in source["messages"]]
    results = records("results/base.jsonl") + records("results/chat.jsonl")
    accuracy = {(r["model"], r["task"]): r["value"] for r in results if r["metric"] == "acc"}
    assert accuracy["exp_2_111", "world_eu"] > accuracy["instruct_en", "world_eu"] + 0.1
    assert accuracy["exp_2_111", "world_en"] > accuracy["base_eu", "world_en"] + 0.1
    ratings = [record for record in records("ratings.jsonl") if "rating" in record]
    best, worst = sorted(ratings, key=lambda rating: rating["rank"])
    assert best["model"] == "exp_2_111" and best["lower"] > worst["upper"]


@pytest.mark.usefixtures("first")
def test_sample_translate_head(bash: Bash) -> None:
    done = bash(
        "latxa sample -m models/instruct_en -n 500 --max-tokens 60"
        " | latxa translate -m models/base_eu --shots data/shots.jsonl --from en --to eu --max-tokens 60 | head -3; "
        'echo "${PIPESTATUS[@]}"',
        FOLDER,
    )
    assert done.returncode == 0, done.stderr
    *lines, status = done.stdout.splitlines()
    assert status == "0 0 0" and len([json.loads(line) for line in lines]) == 3
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("first")
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium (`apt-get install chromium`)")
def test_a_person_votes_on_its_models_in_a_browser(latxa: Latxa, tmp_path: Path) -> None:
    """By keys; the votes are rated."""
    names = ("exp_2_111", "instruct_en")
    files = [FOLDER / "responses" / f"{name}.jsonl" for name in names]
    with serving(tmp_path, *files, "-o", "votes.jsonl", "--language", "eu") as served, chromium() as page:
        page.open(served.address, "!document.getElementById('ballot').hidden")
        for number in range(1, 6):
            shown = page.run("['first', 'second'].map((side) => document.getElementById(side).textContent)")
            better = "1" if len(shown[0]) >= len(shown[1]) else "3"
            for key in (better, "2", "Enter"):
                page.key(key)
            page.wait(f"document.getElementById('count').textContent.includes('{number}')")
            page.wait("!document.querySelector('form .main').disabled")
        assert page.complaints == []
        served.stop()
    votes = votes_in(tmp_path / "votes.jsonl")
    texts = {path.stem: {one["messages"][-1]["content"] for one in votes_in(path)} for path in files}
    for vote in votes:
        assert vote["conversation_a"][-1]["content"] in texts[vote["model_a"]]
        assert vote["conversation_b"][-1]["content"] in texts[vote["model_b"]]
    rated = latxa("arena-score", "votes.jsonl", "--prior", "1", cwd=tmp_path)
    ratings = [json.loads(line) for line in rated.stdout.splitlines()]
    assert rated.returncode == 0 and {row["model"] for row in ratings if "rating" in row} == set(names)


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("paper", [papers.README, *papers.ON_THE_QUICKSTART], ids=lambda paper: paper.name)
def test_the_commands_of_a_guide(paper: Path, latxa: Latxa, tmp_path: Path) -> None:
    """They go on in a folder that holds what the quickstart left, and write beside it."""
    (tmp_path / "recipes").symlink_to(REPOSITORY / "recipes")
    folder = tmp_path / "quickstart"
    (folder / "models").mkdir(parents=True)
    for path in [*FOLDER.iterdir(), *(FOLDER / "models").iterdir()]:
        if path.name != "models":
            (folder / path.relative_to(FOLDER)).symlink_to(path)
    written = papers.run(paper, latxa, tmp_path, but=("recipes/quickstart.sh", "recipes/test.sh"))
    if paper == papers.README:
        (row,) = [json.loads(line) for line in written.splitlines()]
        assert row["model"] == "my_model"
