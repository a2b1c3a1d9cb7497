"""The commands of the guides that need no model, run as they stand there: `corpus.md`, `arena.md` and `audit.md`.

Those of `laptop.md` are run by `tests/recipes/test_laptop.py`, and those of the other guides by
`tests/recipes/test_quickstart.py`, on the models that the quickstart leaves; those of `voting.md` by
`tests/recipes/test_voting_guide.py`.
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
CORPUS, ARENA, AUDIT = (papers.ROOT / "recipes" / f"{name}.md" for name in ("corpus", "arena", "audit"))
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


# --- translations ----------------------------------------------------------------------------------------------------


@pytest.fixture
def translations(tmp_path: Path) -> Path:
    """A folder with conversations, translations of which some are damaged, and pairs."""
    draw = random.Random(0)
    names, things = ("Ane", "Maddi", "Joseba", "Nerea", "Unai", "Miren"), (("walnuts", "intxaur"), ("eggs", "arrautza"))
    places = (("market", "azokan"), ("village", "herrian"), ("harbour", "portuan"))

    def text() -> tuple[str, str]:
        name, (thing, gauza), (place, non), count = *map(draw.choice, (names, things, places)), draw.randrange(10, 99)
        return (
            f"Yesterday {name} bought {count} {thing} at the {place} for the winter.",
            f"Atzo {name}k {count} {gauza} erosi zituen {non} negurako.",
        )

    def chats(language: int) -> list[dict[str, object]]:
        return [
            {"id": f"i{n}", "messages": [
                {"role": "user", "content": one[language]}, {"role": "assistant", "content": other[language]},
            ]}
            for n, (one, other) in enumerate(pairs)
        ]  # fmt: skip

    pairs = [(text(), text()) for _ in range(120)]
    damaged = chats(1)
    for n in range(60, 80):
        damaged[n]["messages"] = damaged[n + 1]["messages"]
    damaged[7]["messages"] = chats(0)[7]["messages"]
    damaged[9]["messages"] = [*damaged[9]["messages"][:1], {"role": "assistant", "content": "null"}]  # type: ignore[index]
    files = {"en": chats(0), "eu": damaged, "people": chats(1), "back": chats(0)}
    more = [text() for _ in range(80)]
    files["pairs"] = [{"id": f"p{n}", "source": pair[0], "target": pair[1]} for n, pair in enumerate(more)]
    for name, some in files.items():
        tiny.write_jsonl(tmp_path / f"{name}.jsonl", some)
    return tmp_path


def test_from_translations_to_those_that_are_sound(translations: Path, latxa: Latxa) -> None:
    papers.run(AUDIT, latxa, translations)
    manifest = json.loads((translations / "checked.jsonl.manifest.json").read_bytes())
    rejected = manifest["counts"]["rejected"]
    assert rejected["copied source"] == rejected["null translation"] == 1
    assert rejected["translation of another record"] >= 10
    [run] = manifest["runs"]
    assert run["first"] in ("i60", "i61", "i62") and run["last"] in ("i77", "i78", "i79")
    assert "<mark>" in (translations / "audit.html").read_text()
    learnt = json.loads((translations / "calibrated.jsonl.manifest.json").read_bytes())
    assert learnt["length_ratio"]["pairs"] == 80 and learnt["calibration"] == {"pairs": 80, "rejected": {}}
    assert len(records(translations / "scored.jsonl")) == manifest["counts"]["out"]


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
    labels = ("Left", "Right", "Biak ondo", "Neither")
    votes = (f"ours,theirs,{labels[n % 4]},u{n % 7}@x.eus,p{n % 60}\n" for n in range(90))
    (tmp_path / "form.csv").write_text("Ezkerrekoa,Right model,Vote,Email Address,prompt_id\n" + "".join(votes))
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
