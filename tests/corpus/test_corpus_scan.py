"""Documents that the kernel finds in lines, against those that are made of each line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spellings import TEXTS, lines

from latxa_cli.corpus import scan
from latxa_cli.corpus.assessment import AssessmentSettings
from latxa_cli.corpus.examine import ExamineTask, examine
from latxa_cli.stages import load_array
from latxa_cli.stream.cutting import Part

NEAR, EXACT = frozenset(("exact", "url", "near")), frozenset(("exact",))
LICENCES = st.one_of(st.none(), TEXTS, st.sampled_from(["CC0-1.0", ""]))

OTHERS = st.sampled_from([0, -1.5, True, [], ["eu"], {}, {"eu": 1}])  # what none of these may hold, but for a date


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    fields = {"id": draw(st.text("ab1", min_size=1)), "text": draw(st.one_of(TEXTS, st.text("abc ", min_size=60)))}
    usual = dict.fromkeys(("url", "licence", "license", "language", "created", "task"), LICENCES)
    odd = {name: st.one_of(LICENCES, OTHERS) for name in (*usual, "language_score", "languages")}
    fields |= draw(st.fixed_dictionaries({}, optional=draw(st.sampled_from([usual, odd]))))
    return orjson.dumps(fields)


def examined(folder: Path, data: bytes, steps: frozenset[str], named: bool) -> tuple[Any, ...]:
    """Return what comes of the lines: found by the kernel or, where the source is `named`, made one by one."""
    source = folder / "in.jsonl"
    source.write_bytes(data)
    part = Part(0, 0, "in.jsonl", str(source), 0, len(data), 1, "jsonl")
    task = ExamineTask(
        part, str(folder / f"examine-{named}"), AssessmentSettings("en", steps, "generic", rejects=True), "dump", named
    )
    info = examine(task)
    rows, keys = load_array(task.file("rows.npy")), load_array(task.file("keys.npy"))
    kept = Path(info["data"]).read_bytes()
    found = [orjson.loads(kept[int(row["offset"]) :][: int(row["length"])]) for row in rows]
    licences = [info["licences"][number] for number in rows["licence"].tolist()]
    plain = rows[["row", "words", "bytes", "named"]].tolist()
    texts = [(record["id"], record["text"]) for record in found]
    aside = [orjson.loads(line) for line in task.file("aside").read_bytes().split(b"\n")[:-1]]
    counts = [info[name] for name in ("documents", "read", "malformed", "lost", "reasons")]
    return counts, plain, texts, licences, keys.tolist(), aside


@settings(max_examples=200)
@given(st.lists(st.one_of(documents(), lines(), st.sampled_from([b"", b" \r"]), st.binary(max_size=9)), max_size=12))
@pytest.mark.parametrize("steps", [NEAR, EXACT], ids=["near", "exact"])
def test_the_kernel_finds_what_the_reader_does(steps: frozenset[str], given: list[bytes]) -> None:
    data = b"\n".join(line.replace(b"\n", b" ") for line in given)
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = (examined(Path(folder), data, steps, named) for named in (False, True))
    assert ours == theirs


def test_lines_longer_than_a_block(tmp_path: Path) -> None:
    texts = ["short", "word " * 300_000, "", "ñ" * (1 << 20), "end"]
    data = b"".join(orjson.dumps({"id": str(n), "text": text}) + b"\n" for n, text in enumerate(texts))
    ours, theirs = (examined(tmp_path, data, NEAR, named) for named in (False, True))
    assert ours == theirs
    part = Part(0, 0, "in.jsonl", str(tmp_path / "in.jsonl"), 0, len(data), 1, "jsonl")
    taken = [line for block in scan.blocks(part, near=False) for line in block.documents().tolist()]
    assert taken == [True] * len(texts), "these are for the kernel"
