"""The commands of the README's section "Arena", run as they stand there."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path

import pytest
import tiny

README = Path(__file__).resolve().parents[1] / "README.md"
MODELS = {"ours": 0.1, "theirs": 0.3, "others": 0.5}  # how often each gets a word wrong


def blocks() -> list[str]:
    section = README.read_text().partition("## Arena\n")[2].partition("\n## ")[0]
    return [block.replace("\n  ", "\n") for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


def run(block: str, folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-euc", block], cwd=folder, env={"PATH": f"{tiny.BINARY.parent}:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    """A folder with responses of three models, of which `ours` is the best."""
    draw = random.Random(0)
    references = [tiny.sentence(draw, 6) for _ in range(60)]
    for model, wrong in MODELS.items():
        answers = [
            " ".join(word if draw.random() > wrong else tiny.sentence(draw, 1) for word in text.split())
            for text in references
        ]
        tiny.write_jsonl(tmp_path / f"{model}.jsonl", [
            {"id": f"p{n}", "model": model, "reference": reference, "messages": [
                {"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": answer},
            ]}
            for n, (reference, answer) in enumerate(zip(references, answers, strict=True))
        ])  # fmt: skip
    return tmp_path


def test_from_responses_to_a_figure(responses: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need `latxa-cli[plots]`")
    run(blocks()[0], responses)
    ratings = [json.loads(line) for line in (responses / "ratings.jsonl").read_bytes().splitlines()]
    board = [record for record in ratings if "rating" in record]
    assert [record["model"] for record in board] == ["ours", "theirs", "others"]
    assert all(record["lower"] < record["rating"] < record["upper"] for record in board)
    assert {record["finding"] for record in ratings if "finding" in record} >= {
        "islands",
        "position bias",
        "neighbours",
    }
    assert "ours" in (responses / "ratings.tex").read_text()
    for figure in ("ratings.pdf", "battles.pdf"):
        assert (responses / figure).read_bytes().startswith(b"%PDF")
    run(blocks()[1], responses)
    sheet = [json.loads(line) for line in (responses / "sheet.jsonl").read_bytes().splitlines()]
    assert len(sheet) == 200 and "newcomer" in {record["model_a"] for record in sheet}
    run(blocks()[3], responses)
    pairs = [json.loads(line) for line in (responses / "pairs.jsonl").read_bytes().splitlines()]
    assert pairs and all(pair["chosen"] != pair["rejected"] for pair in pairs)


def test_the_table_and_the_figure_of_the_paper(tmp_path: Path, shared_reference: Path) -> None:
    """The published votes say who was better on the whole alone; here they stand for the other two questions too."""
    pytest.importorskip("matplotlib", reason="figures need `latxa-cli[plots]`")
    battles = (shared_reference / "arena" / "ebaluatoia_battles.jsonl").read_bytes().splitlines()
    votes = [json.loads(line) for line in battles]
    tiny.write_jsonl(
        tmp_path / "votes.jsonl",
        [vote | {"winner_content": vote["winner"], "winner_language": vote["winner"]} for vote in votes],
    )
    run(blocks()[2], tmp_path)
    table = (tmp_path / "arena.tex").read_text()
    assert table.count(r"\\") >= 22 and "gpt-4o" in table
    assert (tmp_path / "arena.pdf").read_bytes().startswith(b"%PDF")
