"""Evaluation items: what of them is looked for, and how leaks are told."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from latxa_cli.corpus.contamination import leaks, read_items, save_items
from latxa_cli.stream.errors import LatxaError, RecordError
from latxa_cli.text.items import texts


def test_all_that_is_asked_counts_and_nothing_about_it() -> None:
    item = {
        "id": "x1",
        "question": "Who built it?",
        "choices": ["A mason", {"label": "b", "text": "A farmer"}],
        "answer": 1,
        "metadata": {"note": "hard"},
        "messages": [{"role": "user", "content": "Say it"}],
    }
    assert list(texts(item)) == ["Who built it?", "A mason", "b", "A farmer", "Say it"]


@pytest.mark.parametrize(
    "field", ["id", "source", "licence", "license", "url", "language", "task", "metadata", "role", "model"]
)
def test_what_is_told_of_an_item_is_no_question(field: str) -> None:
    assert list(texts({field: "Not asked", "question": "Asked?"})) == ["Asked?"]


def test_the_source_of_a_pair_is_text() -> None:
    """In parallel text `source` is what is translated, elsewhere it is where the item comes from."""
    assert list(texts({"id": "p", "source": "Where is it?", "target": "Non dago?"})) == ["Where is it?", "Non dago?"]


def test_items_are_named_by_file_and_id(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text('{"id": "q1", "question": "One?"}\n\n{"question": "Two?"}\n')
    items = list(read_items(str(path)))
    assert [key for key, _ in items] == ["exam.jsonl:q1", "exam.jsonl:3"]
    digest = save_items(tmp_path / "items.jsonl", items)
    assert digest == save_items(tmp_path / "again.jsonl", items) != save_items(tmp_path / "other.jsonl", items[:1])
    lines = (tmp_path / "items.jsonl").read_bytes().split(b"\n")[:-1]
    assert list(map(orjson.loads, lines)) == [
        {"key": "exam.jsonl:q1", "text": "One?"},
        {"key": "exam.jsonl:3", "text": "Two?"},
    ]


@pytest.mark.parametrize("line", ["{broken", "[1]"])
def test_a_broken_item_is_told_with_its_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(f'{{"question": "One?"}}\n{line}\n')
    with pytest.raises(RecordError, match=r"exam\.jsonl:2: "):
        list(read_items(str(path)))


def test_leaks_are_summed_by_item_and_source() -> None:
    found = [("web", {"q2": 1, "q1": 2}), ("wiki", {"q1": 1}), ("web", {"q1": 3})]
    assert leaks(found) == {"q1": {"web": 5, "wiki": 1}, "q2": {"web": 1}}


def test_a_file_without_items_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LatxaError, match="no evaluation items"):
        save_items(tmp_path / "items.jsonl", [("a", {"id": "a"})])
