"""`latxa audit` as it is called: what it says, writes and refuses."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tiny import Latxa

PAIRS = [
    ("Why is the sky blue over Lekeitio?", "Zergatik da urdina Lekeitioko zerua?"),
    ("Ane bought 37 walnuts in 1998.", "Anek 37 intxaur erosi zituen 1998an."),
    ("Press `Esc` and see https://example.org.", "Sakatu `Esc` eta ikusi https://example.org."),
    ("Buy these:\n- salt\n- oil", "Erosi hauek:\n- gatza\n- olioa"),
]


def write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with four sources, their translations, the second of which has another number, and references."""
    texts = {"en": [source for source, _ in PAIRS], "eu": [target for _, target in PAIRS]}
    for name, of in texts.items():
        write(tmp_path / f"{name}.jsonl", [{"id": f"t{n}", "text": text} for n, text in enumerate(of)])
    (tmp_path / "references.jsonl").write_bytes((tmp_path / "eu.jsonl").read_bytes())
    records = read(tmp_path / "eu.jsonl")
    records[1]["text"] = records[1]["text"].replace("37", "73")
    write(tmp_path / "eu.jsonl", records)
    return tmp_path


AUDIT = ("audit", "eu.jsonl", "--source", "en.jsonl", "--to", "eu", "--from", "en", "--field", "text")


def test_what_passes_and_what_is_rejected(latxa: Latxa, folder: Path) -> None:
    done = latxa(*AUDIT, "--rejects", "bad.jsonl", "--manifest", "m.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    given = read(folder / "eu.jsonl")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [given[0], *given[2:]]
    assert read(folder / "bad.jsonl") == [{"reason": "other numbers", "detail": "`text`: 37 → 73", "record": given[1]}]
    said = done.stderr.decode()
    assert "other numbers" in said and "25.0%" in said and "t1" in said
    manifest = json.loads((folder / "m.json").read_text())
    assert manifest["counts"] == {"in": 4, "out": 3, "rejected": {"other numbers": 1}}
    assert manifest["untranslated"] == 0 and manifest["runs"] == [] and manifest["length_ratio"]["pairs"] == 0


def test_languages_may_be_named(latxa: Latxa, folder: Path) -> None:
    plain = latxa(*AUDIT, cwd=folder)
    named = latxa(*("Basque" if word == "eu" else "english" if word == "en" else word for word in AUDIT), cwd=folder)
    assert plain.returncode == named.returncode == 0 and plain.stdout == named.stdout
    wrong = latxa(*("Basqe" if word == "eu" else word for word in AUDIT), cwd=folder)
    assert wrong.returncode == 2 and b"`Basqe`" in wrong.stderr and b"Basque" in wrong.stderr


def test_records_of_a_benchmark(latxa: Latxa, folder: Path) -> None:
    write(folder / "en.jsonl", [{"id": "q", "question": "What is blue?", "choices": ["the sea", "the rain"]}])
    write(folder / "eu.jsonl", [{"id": "q", "question": "Zer da urdina?", "choices": ["itsasoa", "the rain there"]}])
    words = [*AUDIT[:-2], "--field", "question", "--field", "choices"]
    assert latxa(*words, cwd=folder).returncode == 0
    write(folder / "eu.jsonl", [{"id": "q", "question": "Zer da urdina?", "choices": ["itsasoa"]}])
    done = latxa(*words, "--rejects", "bad.jsonl", cwd=folder)
    assert done.returncode == 1 and read(folder / "bad.jsonl")[0]["reason"] == "other turns"


def test_calibration_limits_and_phrases(latxa: Latxa, folder: Path) -> None:
    pairs = [{"source": source, "target": target} for source, target in PAIRS]
    write(folder / "few.jsonl", pairs)
    write(folder / "pairs.jsonl", pairs * 10)
    few = latxa(*AUDIT, "--calibrate", "few.jsonl", cwd=folder)
    assert few.returncode == 2 and b"4 pairs are too few" in few.stderr
    (folder / "checks.toml").write_text("[numbers]\non = false\n")
    done = latxa(*AUDIT, "--calibrate", "pairs.jsonl", "--checks", "checks.toml", "--manifest", "m.json", cwd=folder)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 4
    manifest = json.loads((folder / "m.json").read_text())
    assert manifest["length_ratio"]["pairs"] == 40 and manifest["calibration"] == {"pairs": 40, "rejected": {}}
    assert b"of 40 pairs for calibration 0 would be rejected (0.0%)" in done.stderr
    (folder / "checks.toml").write_text("[nmbers]\non = false\n")
    wrong = latxa(*AUDIT, "--checks", "checks.toml", cwd=folder)
    assert wrong.returncode == 1 and b"hint: did you mean `numbers`" in wrong.stderr


def test_phrases_of_the_users(latxa: Latxa, folder: Path) -> None:
    for name in ("en", "eu"):
        turns = [[{"role": "user", "content": record["text"]}] for record in read(folder / f"{name}.jsonl")]
        write(folder / f"{name}.jsonl", [{"id": str(n), "messages": messages} for n, messages in enumerate(turns)])
    (folder / "phrases.toml").write_text('[transfer]\nsky = ["sky … over"]\n')
    latxa(*AUDIT[:-2], "--checks", "phrases.toml", "--rejects", "bad.jsonl", cwd=folder)
    entry, _ = read(folder / "bad.jsonl")
    assert (entry["reason"], entry["detail"]) == ("does not survive translation", "message 1: sky: sky blue over")
    (folder / "phrases.toml").write_text("[transfr]\nsky = []\n")
    wrong = latxa(*AUDIT[:-2], "--checks", "phrases.toml", cwd=folder)
    assert wrong.returncode == 1 and b"phrases.toml: there is no check `transfr`" in wrong.stderr


def test_examples_that_leaked(latxa: Latxa, folder: Path) -> None:
    records = read(folder / "eu.jsonl")
    records[0]["text"] += " Kutxa lorategi zaharrean dago gaur ere."
    write(folder / "eu.jsonl", records)
    shots = [
        {"source": "The chest is in the old garden today too.", "target": "Kutxa lorategi zaharrean dago gaur ere."}
    ]
    write(folder / "shots.jsonl", shots)
    latxa(*AUDIT, "--shots", "shots.jsonl", "--rejects", "bad.jsonl", cwd=folder)
    assert [entry["reason"] for entry in read(folder / "bad.jsonl")] == ["leaked examples", "other numbers"]


def test_scores(latxa: Latxa, folder: Path) -> None:
    done = latxa(
        *AUDIT, "--references", "references.jsonl", "--round-trip", "en.jsonl", "--manifest", "m.json", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    scores = {(score["metric"], score["of"]): score for score in json.loads((folder / "m.json").read_text())["scores"]}
    assert scores["chrF", "round trip"]["value"] == scores["chrF++", "passed"]["value"] == 100.0
    assert 90 < scores["chrF++", "all"]["value"] < 100 and "version:" in scores["BLEU", "all"]["signature"]
    assert b"chrF++ (passed): 100.0, 95 % interval 100.0 to 100.0, 3 records" in done.stderr


class Tags(HTMLParser):
    """All tags of a page, its marks, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page(latxa: Latxa, folder: Path) -> None:
    done = latxa(*AUDIT, "--page", "audit.html", "-o", "good.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "audit.html").read_text(encoding="utf-8")
    assert "<mark>37</mark>" in page and "<mark>73</mark>" in page and "4 records audited, 1 at fault (25.0%)." in page
    manifest = json.loads((folder / "good.jsonl.manifest.json").read_text())
    assert [entry["path"] for entry in manifest["outputs"]] == ["good.jsonl", "audit.html"]


def test_nothing_in_a_page_comes_to_life(latxa: Latxa, folder: Path) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=y>\u202e\x1b[31m"
    write(folder / "en.jsonl", [{"id": f"{evil}{n}", "text": f"{evil} 37"} for n in range(3)])
    write(folder / "eu.jsonl", [{"id": f"{evil}{n}", "text": f"{evil} 73"} for n in range(3)])
    done = latxa(*AUDIT, "--page", "audit.html", cwd=folder)
    assert done.returncode == 1, "nothing was kept, and the page is there all the same"
    page = (folder / "audit.html").read_text(encoding="utf-8")
    found = Tags(page)
    assert found.tags <= {
        "html", "meta", "title", "style", "h1", "h2", "p", "table", "tr", "td", "th", "a", "span", "div", "mark",
        "code", "bdi", "details", "summary",
    }  # fmt: skip
    assert not any(name.startswith("on") or name == "src" for name in found.attributes)
    assert "<script>alert(1)</script>" in found.text and "\u202e" not in page and "\x1b" not in page
    assert b"\x1b" not in done.stderr and "\u202e" not in done.stderr.decode()


def test_faults_of_the_files(latxa: Latxa, folder: Path) -> None:
    missing = latxa(*("none.jsonl" if word == "en.jsonl" else word for word in AUDIT), cwd=folder)
    assert missing.returncode == 1 and missing.stderr == b"latxa: none.jsonl: no such file\n"
    same = latxa(*AUDIT, "-o", "en.jsonl", cwd=folder)
    assert same.returncode == 2 and b"is an input too" in same.stderr
    (folder / "en.jsonl").write_text('{"id": "t0", "text": "a"}\n{"id": "t1"}\n')
    broken = latxa(*AUDIT, cwd=folder)
    assert broken.returncode == 1 and b"en.jsonl:2: the field `text` is missing" in broken.stderr
    (folder / "en.jsonl").write_text('{"id": "t0", "text": "a"}\n{"id": "t0", "text": "b"}\n')
    (folder / "eu.jsonl").write_text('{"id": "t0", "text": "x"}\n')
    again = latxa(*AUDIT, cwd=folder)
    assert again.returncode == 0 and b"en.jsonl: 1 record with the id of an earlier one, which counts" in again.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("audit", "-", "--source", "-", "--to", "eu"),
        ("audit", "--source", "-", "--to", "eu"),
        (
            "audit",
            "eu.jsonl",
            "--field",
            "text",
            "--source",
            "en.jsonl",
            "--to",
            "eu",
            "--calibrate",
            "-",
            "--shots",
            "-",
        ),
        ("translate", "--shots", "-", "--from", "en", "--to", "eu", "-m", "none"),
        ("respond", "-", "-", "-m", "none"),
    ],
)
def test_stdin_is_read_once(latxa: Latxa, folder: Path, words: tuple[str, ...]) -> None:
    """The second one would be empty, and nothing would say so."""
    done = latxa(*words, stdin=b'{"source": "The boat is old.", "target": "Itsasontzia zaharra da."}\n', cwd=folder)
    assert done.returncode == 2 and done.stderr.startswith(b"latxa: stdin is named twice"), done.stderr


def test_two_languages_are_needed(latxa: Latxa, folder: Path) -> None:
    done = latxa("audit", "eu.jsonl", "--source", "en.jsonl", "--from", "basque", "--to", "eu", cwd=folder)
    assert done.returncode == 2 and b"`--from` and `--to` are both `eu`" in done.stderr


def test_fields_that_do_not_fit_are_named(latxa: Latxa, folder: Path) -> None:
    write(folder / "en.jsonl", [{"id": "a", "question": "What is it?", "choices": ["sea", "sky"]}])
    write(folder / "eu.jsonl", [{"id": "a", "question": "Zer da?", "choices": "itsasoa"}])
    latxa("audit", "eu.jsonl", "--source", "en.jsonl", "--to", "eu", "--field", "question", "--field", "choices",
          "--rejects", "bad.jsonl", cwd=folder)  # fmt: skip
    assert read(folder / "bad.jsonl")[0]["detail"] == "3 (question, choices 1, choices 2) → 2 (question, choices)"
