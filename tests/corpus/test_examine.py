"""What is decided about a document by itself, and the files that a part leaves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import xxhash

from latxa_cli.corpus.assessment import AssessmentSettings
from latxa_cli.corpus.examine import SPLITS, ExamineTask, examine, split_of
from latxa_cli.corpus.steps import STEPS
from latxa_cli.stages import load_array, save_array
from latxa_cli.stream.cutting import Part
from latxa_cli.stream.errors import RecordError

ENGLISH = "The old bridge over the river was built of stone by the people of the valley, and it still stands there."
WELSH = "Mae'r hen bont dros yr afon wedi ei hadeiladu o garreg gan bobl y dyffryn, ac y mae hi yno o hyd."
ALL = frozenset(STEPS) - {"contamination", "boilerplate", "quality"}


class Examined:
    """What `examine` made of some lines."""

    def __init__(self, folder: Path, lines: list[Any], steps: frozenset[str], **given: Any) -> None:
        named = given.pop("named", False)
        boilerplate = given.pop("boilerplate", None)
        source = folder / "in.jsonl"
        source.write_bytes(b"".join(line if isinstance(line, bytes) else orjson.dumps(line) + b"\n" for line in lines))
        settings = AssessmentSettings(**({"language": "en", "steps": steps, "profile": "generic"} | given))
        part = Part(0, 0, "in.jsonl", str(source), 0, source.stat().st_size, 1, "jsonl")
        self.task = ExamineTask(part, str(folder / "examine"), settings, "dump", named, boilerplate)
        self.info = examine(self.task)
        self.rows = load_array(self.task.file("rows.npy"))
        self.keys = load_array(self.task.file("keys.npy"))
        data = Path(self.info["data"]).read_bytes()
        self.kept = [orjson.loads(data[r["offset"] : int(r["offset"]) + int(r["length"])]) for r in self.rows]
        self.aside = [orjson.loads(line) for line in self.task.file("aside").read_bytes().split(b"\n")[:-1]]


def test_documents_that_pass_are_clean_and_otherwise_untouched(tmp_path: Path) -> None:
    given = {"id": "a", "text": f"  {ENGLISH}\r\n", "url": "u", "language": "xx", "metadata": {"dump": 7}, "extra": [1]}
    (kept,) = Examined(tmp_path, [given], ALL).kept
    assert kept["text"] == ENGLISH
    assert (kept["id"], kept["url"], kept["extra"], kept["language"]) == ("a", "u", [1], "en")
    assert "source" not in kept
    assert kept["metadata"]["dump"] == 7
    assert kept["metadata"]["language_probability"] > 0.9
    assert kept["metadata"]["split"] in SPLITS


@pytest.mark.parametrize(
    ("named", "own", "expected"),
    [(False, None, None), (False, "web", "web"), (True, None, "dump"), (True, "web", "dump/web")],
)
def test_a_name_that_was_given_stands_before_the_own_source(
    named: bool, own: str | None, expected: str | None, tmp_path: Path
) -> None:
    record = {"id": "a", "text": ENGLISH} | ({"source": own} if own else {})
    assert Examined(tmp_path, [record], ALL, named=named).kept[0].get("source") == expected


def test_what_does_not_pass_is_set_aside_as_it_came(tmp_path: Path) -> None:
    documents = [
        {"id": "a", "text": ENGLISH},
        {"id": "b", "text": " \x00\u2028 "},
        {"text": WELSH, "extra": 1},
        b"broken\n",
        b"\n",
        {"id": "e", "text": "12 34"},
    ]
    made = Examined(tmp_path, documents, ALL, rejects=True)
    assert [entry["reason"] for entry in made.aside] == ["empty", "wrong language", "malformed", "uncertain language"]
    assert made.aside[1]["record"] | {"id": ""} == {"id": "", "text": WELSH, "extra": 1}
    assert made.aside[1]["detail"].startswith("cy ")
    assert (made.aside[2]["where"], made.aside[2]["line"]) == ("in.jsonl:4", "broken")
    assert made.info["read"][0] == 4
    assert made.info["malformed"] == 1
    assert made.info["reasons"] == Counter(entry["reason"] for entry in made.aside)


def test_without_rejects_a_malformed_line_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"in\.jsonl:2: not JSON"):
        Examined(tmp_path, [{"id": "a", "text": ENGLISH}, b'{"text": \n'], ALL)


def test_uncertain_languages_are_for_review_if_it_is_wanted(tmp_path: Path) -> None:
    made = Examined(tmp_path, [{"id": "a", "text": "ok 12"}, {"id": "b", "text": WELSH}], ALL, review=True)
    (entry,) = made.aside
    assert (entry["id"], entry["text"]) == ("a", "ok 12")
    assert entry["metadata"]["language_probability"] < 0.5
    assert load_array(made.task.file("aside.npy"))["review"].tolist() == [True]


def test_keys_are_those_of_text_and_url(tmp_path: Path) -> None:
    texts = [ENGLISH, ENGLISH + " More.", ENGLISH]
    made = Examined(tmp_path, [{"id": str(n), "text": text, "url": f"u{n % 2}"} for n, text in enumerate(texts)], ALL)
    digest = xxhash.xxh3_128_intdigest(ENGLISH.encode())
    assert made.keys[0, 0] == digest & (1 << 64) - 1
    assert made.keys[1, 0] == digest >> 64
    assert made.keys[:2, 0].tolist() == made.keys[:2, 2].tolist() != made.keys[:2, 1].tolist()
    assert made.keys[2, 0] == made.keys[2, 2] != made.keys[2, 1] != 0
    assert (made.keys[3:, 0] == made.keys[3:, 2]).all()


def test_steps_that_change_nothing_leave_the_documents_in_the_input(tmp_path: Path) -> None:
    lines = [b'{"id": "a",  "text": "x\\u00e9"}\n', b"\n", b'{"id":"b","text":"y"}']
    made = Examined(tmp_path, lines, frozenset({"exact"}))
    assert made.info["data"] == str(tmp_path / "in.jsonl")
    assert [record["id"] for record in made.kept] == ["a", "b"]
    assert not made.task.file("kept").exists()


def test_records_without_an_id_are_written_even_so(tmp_path: Path) -> None:
    made = Examined(tmp_path, [{"text": "x"}, {"text": "y", "id": 7}], frozenset({"exact"}))
    assert made.info["data"] != str(tmp_path / "in.jsonl")
    assert [len(record["id"]) for record in made.kept] == [16, 1]
    assert made.rows["named"].tolist() == [False, True]


def test_boilerplate_goes_and_is_counted(tmp_path: Path) -> None:
    line = "This site uses cookies everywhere"
    save_array(tmp_path / "lines.npy", np.array([xxhash.xxh3_64_intdigest(line.encode())], np.uint64))
    documents = [{"id": "a", "text": f"{line}\n\n{ENGLISH}\n{line}"}, {"id": "b", "text": line}]
    made = Examined(tmp_path, documents, ALL, boilerplate=str(tmp_path / "lines.npy"), rejects=True)
    assert [record["text"] for record in made.kept] == [ENGLISH, line]  # what has nothing else stays
    assert made.info["lost"]["boilerplate"] == [0, 10, 2 * len(line) + 3]
    assert made.info["read"][2] == len(documents[0]["text"]) + len(line)


def test_splits_are_drawn_by_seed_and_id() -> None:
    drawn = Counter(SPLITS[split_of(f"d{number}", seed=1)] for number in range(20_000))
    assert abs(drawn["train"] / 20_000 - 0.98) < 0.005
    assert drawn["valid"] > 100 < drawn["test"]
    assert [split_of("x", seed) for seed in range(300)] != [split_of("y", seed) for seed in range(300)]


def test_what_is_counted_fits_into_json(tmp_path: Path) -> None:
    assert json.loads(json.dumps(Examined(tmp_path, [{"id": "a", "text": ENGLISH}], ALL).info))["documents"] == 1
