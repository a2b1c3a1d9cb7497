"""The commands of the guides that need no model, run as they stand there: `corpus.md` and `arena.md`.

Those of the other guides are run by `tests/recipes/test_quickstart.py`, on the models that the quickstart leaves.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import papers
import pytest
import tiny
import zstandard
from tiny import Latxa

WORLD = papers.ROOT / "recipes" / "quickstart" / "world.py"
VOTES = Path(__file__).with_name("cases") / "inputs" / "votes.jsonl"
CORPUS, ARENA = papers.ROOT / "recipes" / "corpus.md", papers.ROOT / "recipes" / "arena.md"
MODELS = {"ours": 0.1, "theirs": 0.3, "others": 0.5}  # how often each gets a word wrong


def records(path: Path) -> list[dict[str, object]]:
    data = zstandard.open(path, "rb").read() if path.suffix == ".zst" else path.read_bytes()
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


# --- from dumps to a training mix ------------------------------------------------------------------------------------


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """A folder with the files that the guide names, made of the island's pages."""
    subprocess.run([sys.executable, WORLD, tmp_path / "island"], check=True)
    pages = []
    for line in (tmp_path / "island" / "corpus_eu_raw.jsonl").read_bytes().split(b"\n"):
        try:
            page = json.loads(line)
        except ValueError:  # the island's crawl has broken lines
            continue
        pages += [page] if isinstance(page.get("text"), str) else []
    long = [page for page in pages[:300] if len(page["text"]) > 350]
    changed = [{"id": f"again-{page['id']}", "text": page["text"] + "\nBeste lerro bat."} for page in long[:20]]
    parts = {"wiki.jsonl": pages[:300], "2024.jsonl": changed + pages[300:600], "web.jsonl": pages[600:900]}
    parts |= {"old.jsonl": pages[200:400], "trusted.jsonl": pages[900:1400]}
    parts["exam.jsonl"] = [{"question": long[30]["text"], "choices": ["bai", "ez"]}]
    for name, some in parts.items():
        tiny.write_jsonl(tmp_path / name, some)
    (tmp_path / "wiki.jsonl.zst").write_bytes(zstandard.compress((tmp_path / "wiki.jsonl").read_bytes()))
    for folder in ("news", "crawls"):
        (tmp_path / folder).mkdir()
    shutil.move(tmp_path / "2024.jsonl", tmp_path / "news")
    for name in ("web.jsonl", "old.jsonl"):
        (tmp_path / "crawls" / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for name, count in (("eu", 60), ("en", 90)):
        tiny.write_jsonl(tmp_path / f"{name}_inst.jsonl", [
            {"id": f"i{n}", "messages": [
                {"role": "user", "content": f"{name} question {n}?"},
                {"role": "assistant", "content": f"{name} answer {n}."},
            ]}
            for n in range(count)
        ])  # fmt: skip
    return tmp_path


def test_from_dumps_to_a_training_mix(dumps: Path, latxa: Latxa) -> None:
    papers.run(CORPUS, latxa, dumps)
    manifest = json.loads((dumps / "corpus.jsonl.zst.manifest.json").read_bytes())
    counts = manifest["counts"]
    assert counts["in"] == counts["out"] + sum(counts["rejected"].values())
    assert {"exact duplicate", "near duplicate", "wrong language", "contaminated"} <= set(counts["rejected"])
    assert set(manifest["funnel"]) == {"wiki", "news", "crawls"}
    assert "## Sources" in (dumps / "card.md").read_text()
    sources = [str(record["source"]).partition("/")[0] for record in records(dumps / "mix.jsonl.zst")]
    assert sources.count("eu") == 40 and sources.count("en") == 90
    assert sources.count("corpus") > counts["out"] > 100
    assert len(records(dumps / "valid.jsonl")) == 20
    assert len(records(dumps / "small.jsonl")) == 100
    assert not list(dumps.glob("*.work")) and not list(dumps.glob("*.part"))


# --- the arena -------------------------------------------------------------------------------------------------------


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    """A folder with responses of three models, of which `ours` is the best, and votes of people."""
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
    shutil.copy(VOTES, tmp_path)
    return tmp_path


def test_from_responses_to_a_figure(responses: Path, latxa: Latxa) -> None:
    pytest.importorskip("matplotlib", reason="figures need `latxa-cli[plots]`")
    papers.run(ARENA, latxa, responses)
    ratings = records(responses / "ratings.jsonl")
    board = [record for record in ratings if "rating" in record]
    assert [record["model"] for record in board] == ["ours", "theirs", "others"]
    assert all(record["lower"] < record["rating"] < record["upper"] for record in board)  # type: ignore[operator]
    found = {record["finding"] for record in ratings if "finding" in record}
    assert found >= {"islands", "position bias", "neighbours"}
    assert "ours" in (responses / "ratings.tex").read_text()
    assert records(responses / "sheet.jsonl")[0]["reason"] == "bridge"
    assert {"prompt", "chosen", "rejected"} <= set(records(responses / "pairs.jsonl")[0])
    for figure in ("ratings.pdf", "battles.pdf", "arena.pdf"):
        assert (responses / figure).read_bytes().startswith(b"%PDF")


def test_the_table_and_the_figure_of_the_paper(responses: Path, latxa: Latxa, shared_reference: Path) -> None:
    """The published votes say who was better on the whole alone; here they stand for the other two questions too."""
    pytest.importorskip("matplotlib", reason="figures need `latxa-cli[plots]`")
    votes = records(shared_reference / "arena" / "ebaluatoia_battles.jsonl")
    tiny.write_jsonl(
        responses / "votes.jsonl",
        [vote | {"winner_content": vote["winner"], "winner_language": vote["winner"]} for vote in votes],
    )
    papers.run(ARENA, latxa, responses)
    table = (responses / "arena.tex").read_text()
    assert table.count(r"\\") >= 22 and "gpt-4o" in table
